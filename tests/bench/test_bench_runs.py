"""The measuring tools measure: whoever needs them must not find them broken. What they find is not asked here."""

import math

import pytest

from tests.bench import cases
from tests.bench.cases import PEER, Scale

TINY = Scale(rounds=1, streams=10, tokens=50, steps=(10,), step_tokens=50, sockets=(20,))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_every_case_has_its_figures_and_nothing_is_lost() -> None:
    with cases.site(TINY) as site:
        for case in cases.CASES.values():
            case(site, [PEER, "uvicorn"])

    assert {run["case"] for run in site.runs} == set(cases.CASES)
    assert [run for run in site.runs if run["failures"] or run.get("lost")] == []
    figures = [value for figure in site.figures for value in figure.values.values()]
    assert len(figures) == 2 * len(site.figures) > 0
    assert all(math.isfinite(value) for value in figures)
