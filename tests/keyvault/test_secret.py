"""A `Secret` gives its text to `reveal()` and to nothing else."""

import copy
import json
import logging
import pickle

import orjson
import pytest

from chatplatform.kernel.secret import Secret

TEXT = "words-nobody-may-read"


@pytest.mark.parametrize(
    "shown",
    [
        repr(Secret(TEXT)),
        str(Secret(TEXT)),
        f"{Secret(TEXT)}",
        f"{Secret(TEXT)!r:>40}",
        f"{Secret(TEXT):s}",
        "%s %r" % (Secret(TEXT), Secret(TEXT)),  # noqa: UP031  the old way is the point
        "{}".format(Secret(TEXT)),  # noqa: UP032
        repr([Secret(TEXT)]),
        repr({"key": Secret(TEXT)}),
        str(ValueError(Secret(TEXT))),
        orjson.dumps(Secret(TEXT), default=str).decode(),
    ],
)
def test_it_does_not_print(shown: str) -> None:
    assert TEXT not in shown


def test_it_does_not_log(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("anything").error("calling with %s", Secret(TEXT), extra={"key": Secret(TEXT)})

    assert TEXT not in caplog.text + repr([vars(record) for record in caplog.records])


def test_it_has_no_attributes_to_walk() -> None:
    with pytest.raises(TypeError):
        vars(Secret(TEXT))


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, orjson.dumps])
def test_it_does_not_leave_the_process(leave: object) -> None:
    with pytest.raises(TypeError):
        leave(Secret(TEXT))  # type: ignore[operator]


def test_equal_secrets_are_equal() -> None:
    assert Secret(TEXT) == Secret(TEXT) != Secret("other")
    assert hash(Secret(TEXT)) == hash(Secret(TEXT))
