"""The built-in model: it answers without a key, in the language of the question, and plays scripts."""

import asyncio
import json
import time
from contextlib import aclosing
from typing import Any

import pytest
from pytest_django import Settings

from chatplatform.kernel.errors import AppError, ModelNotFound, VendorBusy, VendorTruncated
from providers.adapters import adapter_for, scripted
from providers.adapters.base import Endpoint
from providers.completion import (
    Finished,
    FinishReason,
    Prompt,
    PromptMessage,
    Role,
    StreamEvent,
    Text,
    TextDelta,
    ThinkingDelta,
    Usage,
    UsageReport,
)
from providers.tokens import estimate
from providers.vendors import VENDORS

BUILT_IN = Endpoint(VENDORS["scripted"], "")
STOPPED = Finished(FinishReason.STOP)


def asking(question: str) -> Prompt:
    before = PromptMessage(Role.USER, (Text("before"),)), PromptMessage(Role.ASSISTANT, (Text("answer"),))
    return Prompt((*before, PromptMessage(Role.USER, (Text(question),))))


async def answer(question: str, model: str = "echo") -> list[StreamEvent]:
    async with aclosing(adapter_for("scripted").stream(BUILT_IN, model, asking(question))) as stream:
        return [event async for event in stream]


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripted, "SECONDS_PER_PIECE", 0.0)


# --- echo -----------------------------------------------------------------


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize(
    ("question", "says"), [("What can you do?", "built into this server"), ("你能做什么？", "服务器自带的模型")]
)
async def test_it_answers_in_the_language_of_the_question(question: str, says: str) -> None:
    events = await answer(question)

    assert text_of(events).startswith(f"> {question}\n\n")
    assert says in text_of(events)
    assert events[-1] == STOPPED
    report = events[-2]
    assert isinstance(report, UsageReport)
    assert report.usage.estimated and report.usage.output_tokens == estimate(text_of(events))


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize(
    ("question", "shows"),
    [("Show me code", "```python"), ("给我看代码", "```python"), ("a table please", "| --- |"), ("表格", "| --- |")],
)
async def test_it_shows_what_a_reply_can_look_like(question: str, shows: str) -> None:
    assert shows in text_of(await answer(question))


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize("question", ["Think about it", "思考一下"])
async def test_it_thinks_before_it_speaks(question: str) -> None:
    kinds = [type(event) for event in await answer(question)]

    assert kinds[0] is ThinkingDelta
    assert ThinkingDelta not in kinds[kinds.index(TextDelta) :]


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize("question", ["a long answer", "一个很长的回答"])
async def test_a_long_answer_is_long_and_its_lines_are_numbered(question: str) -> None:
    text = text_of(await answer(question))

    numbers = [int(line.partition(".")[0]) for line in text.splitlines() if line[:1].isdigit()]
    assert numbers == list(range(1, scripted.LONG_LINES + 1))
    assert estimate(text) >= 4000


@pytest.mark.usefixtures("in_a_hurry")
async def test_it_does_not_repeat_more_than_a_few_words_of_a_long_question() -> None:
    quote = text_of(await answer("word\n" * 1000)).splitlines()[0]

    assert len(quote) < 210 and quote.endswith("…")


async def test_its_pace_is_that_of_a_reader() -> None:
    began = time.monotonic()
    async with aclosing(adapter_for("scripted").stream(BUILT_IN, "echo", asking("hello"))) as stream:
        pieces = [await anext(stream) for _ in range(20)]
    seconds = time.monotonic() - began

    assert 25 <= len(pieces) / seconds <= 45


# --- script ---------------------------------------------------------------


async def play(*steps: dict[str, Any]) -> list[StreamEvent]:
    return await answer(json.dumps(steps), "script")


async def test_a_script_is_played_step_by_step() -> None:
    began = time.monotonic()
    events = await play(
        {"think": "hm"}, {"say": "a", "times": 3, "every": 0.05}, {"wait": 0.1}, {"usage": [7, 8]}, {"finish": "length"}
    )

    assert events == [
        ThinkingDelta("hm"),
        *[TextDelta("a")] * 3,
        UsageReport(Usage(input_tokens=7, output_tokens=8)),
        Finished(FinishReason.LENGTH),
    ]
    assert time.monotonic() - began >= 0.2


async def test_a_script_without_an_end_stops_by_itself() -> None:
    events = await play({"say": "hello"})

    assert (events[0], events[-1]) == (TextDelta("hello"), STOPPED)
    assert isinstance(events[1], UsageReport) and events[1].usage.estimated


@pytest.mark.parametrize(
    ("step", "kind", "wait"),
    [({"fail": "MODEL_BUSY", "retry_after": 3}, VendorBusy, 3), ({"cut": True}, VendorTruncated, None)],
)
async def test_a_script_may_fail(step: dict[str, Any], kind: type[AppError], wait: float | None) -> None:
    said: list[StreamEvent] = []
    with pytest.raises(kind) as failure:
        async for event in adapter_for("scripted").stream(BUILT_IN, "script", asking(json.dumps([{"say": "a"}, step]))):
            said.append(event)

    assert said == [TextDelta("a")]
    assert failure.value.retry_after == wait


async def test_what_a_script_says_is_clean() -> None:
    assert text_of(await play({"say": "a\0b\x1b"}, {"say": "\0"})) == "ab"


@pytest.mark.parametrize(
    "script",
    [
        "hello",
        "{}",
        '[{"sing": "la"}]',
        '[{"wait": 61}]',
        '[{"say": "x", "every": -1}]',
        '[{"say": "x", "times": 20001}]',
        '[{"say": "x", "times": 20000}, {"say": "x"}]',
        json.dumps([{"say": "x" * 1000, "times": 5000}]),
        '[{"fail": "NO_SUCH_CODE"}]',
        '[{"fail": "VALIDATION_FAILED"}]',
        '[{"finish": "bored"}]',
        '[{"say": "\\ud800"}]',
    ],
)
async def test_what_is_no_script_is_told_how_to_become_one(script: str) -> None:
    events = await answer(script, "script")

    assert events[0] == TextDelta(scripted.HOW_TO_SCRIPT)
    assert events[-1] == STOPPED


async def test_the_example_in_the_explanation_is_a_script() -> None:
    example = scripted.HOW_TO_SCRIPT.split("```json\n")[1].split("```")[0]

    assert text_of(await answer(example, "script")) == "HelloHelloHello"


async def test_a_script_without_pauses_lets_others_have_their_turn() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(other())
    await play({"say": "x", "times": 100})
    others.cancel()

    assert turns >= 100


async def test_production_does_not_offer_scripts(settings: Settings) -> None:
    listed = await adapter_for("scripted").list_models(BUILT_IN)
    assert [model.name for model in listed] == ["echo", "script"]

    settings.PRODUCTION, settings.TESTING = True, False
    listed = await adapter_for("scripted").list_models(BUILT_IN)
    assert [model.name for model in listed] == ["echo"]
    with pytest.raises(ModelNotFound):
        await answer("[]", "script")


async def test_every_key_is_good_for_it() -> None:
    await adapter_for("scripted").probe(BUILT_IN)
