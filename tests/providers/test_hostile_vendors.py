"""Vendors that fail, lie, flood, stall or break off: one typed failure each, in bounded memory, no word of theirs."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from chatplatform.kernel.errors import (
    AppError,
    ContentBlocked,
    ContextTooLong,
    KeyOutOfCredit,
    KeyRejected,
    ModelNotFound,
    VendorBusy,
    VendorFailure,
    VendorGarbled,
    VendorRefusedRequest,
    VendorTimeout,
    VendorTruncated,
    VendorUnreachable,
)
from chatplatform.kernel.secret import Secret
from providers.adapters import adapter_for, openai, reader
from providers.adapters.base import Endpoint
from providers.adapters.reader import Patience
from providers.completion import Prompt, PromptMessage, Role, StreamEvent, Text, TextDelta
from providers.vendors import VENDORS
from tests.vendor_server import EMOJI_TEXT, FaultServer

KEY = "sk-canary-0123456789"
HELLO = Prompt((PromptMessage(Role.USER, (Text("hello"),)),))


@pytest.fixture
def vendor() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


async def outcome(base_url: str, model: str) -> tuple[list[StreamEvent], AppError]:
    """What came before the failure, and the failure."""
    said: list[StreamEvent] = []
    where = Endpoint(VENDORS["deepseek"], base_url, Secret(KEY))
    with pytest.raises(AppError) as failure:
        async with aclosing(adapter_for("openai").stream(where, model, HELLO)) as stream:
            async for event in stream:
                said.append(event)
    return said, failure.value


FAILURES: dict[str, type[AppError]] = {
    # Refused.
    "400": VendorRefusedRequest,
    "401": KeyRejected,
    "402": KeyOutOfCredit,
    "403": KeyRejected,
    "404": ModelNotFound,
    "405": VendorRefusedRequest,
    "408": VendorTimeout,
    "413": ContextTooLong,
    "422": VendorRefusedRequest,
    "429": VendorBusy,
    "500": VendorFailure,
    "502": VendorFailure,
    "503": VendorBusy,
    "504": VendorTimeout,
    "400-context": ContextTooLong,
    "400-prose": ContextTooLong,
    "400-filter": ContentBlocked,
    "400-inspected": ContentBlocked,
    "400-arrears": KeyOutOfCredit,
    "403-flagged": ContentBlocked,
    "429-quota": KeyOutOfCredit,
    "429-zhipu": KeyOutOfCredit,
    "key-echoed": KeyRejected,
    "endless-error": KeyRejected,
    "redirect": VendorFailure,
    "error-with-200": KeyOutOfCredit,
    # Refused in the middle of the stream.
    "error-event": VendorFailure,
    "busy-event": VendorBusy,
    "key-echoed-in-stream": VendorFailure,
    "finish-error": VendorFailure,
    "finish-insufficient_system_resource": VendorBusy,
    # Broken off.
    "close-at-once": VendorUnreachable,
    "reset-at-once": VendorUnreachable,
    "reset-in-the-middle": VendorTruncated,
    "eof-in-a-chunk": VendorTruncated,
    "eof-clean": VendorTruncated,
    "done-without-finish": VendorTruncated,
    "finish-cut-off": VendorTruncated,
    "nothing": VendorTruncated,
    # Garbled.
    "garbage": VendorGarbled,
    "null": VendorGarbled,
    "list": VendorGarbled,
    "wrong-types": VendorGarbled,
    "bad-utf8": VendorGarbled,
    "deep": VendorGarbled,
    "not-http": VendorGarbled,
    "html": VendorGarbled,
    "gzip": VendorGarbled,
    # Too much.
    "huge-line": VendorGarbled,
    "huge-answer": VendorGarbled,
    "flood": VendorGarbled,
    "flood-of-comments": VendorGarbled,
}
SAID_BEFORE = {
    "error-event": "Hel",
    "reset-in-the-middle": "Hel",
    "eof-in-a-chunk": "Hel",
    "eof-clean": "Hel",
    "done-without-finish": "Hel",
    "finish-cut-off": "Hel",
    "garbage": "Hel",
    "null": "Hel",
    "list": "Hel",
    "wrong-types": "Hel",
    "bad-utf8": "Hel",
    "deep": "Hel",
    "finish-error": "Hello, world!",
    "finish-insufficient_system_resource": "Hello, world!",
}
TOO_MUCH = {"huge-answer", "flood"}


@pytest.mark.parametrize("mode", FAILURES)
async def test_every_failure_has_a_name(vendor: FaultServer, mode: str) -> None:
    said, failure = await outcome(vendor.base_url, mode)

    assert type(failure) is FAILURES[mode]
    assert failure.details == {"vendor": "deepseek"}
    if mode not in TOO_MUCH:
        assert "".join(event.text for event in said if isinstance(event, TextDelta)) == SAID_BEFORE.get(mode, "")


async def test_after_a_failure_the_next_answer_is_in_order(vendor: FaultServer) -> None:
    for mode in ("flood", "eof-in-a-chunk", "gzip", "utf8-split"):
        where = Endpoint(VENDORS["deepseek"], vendor.base_url, Secret(KEY))
        try:
            events = [event async for event in adapter_for("openai").stream(where, mode, HELLO)]
        except AppError:
            continue
    assert events[0] == TextDelta(EMOJI_TEXT)


# --- Waiting --------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "least", "most"),
    [
        ("429-seconds", 7, 7),
        ("429-date", 27, 31),
        ("429-past", 0, 0),
        ("429-absurd", 3600, 3600),
        ("429-negative", 0, 0),
    ],
)
async def test_a_busy_vendor_says_when_to_come_back(vendor: FaultServer, mode: str, least: float, most: float) -> None:
    _, failure = await outcome(vendor.base_url, mode)

    assert failure.retry_after is not None
    assert least <= failure.retry_after <= most


async def test_nonsense_is_no_time_to_come_back(vendor: FaultServer) -> None:
    _, failure = await outcome(vendor.base_url, "429-nonsense")

    assert failure.retry_after is None


@pytest.mark.parametrize(
    ("mode", "patience", "said"),
    [
        ("hang", Patience(headers=0.3, first_token=9, idle=9), 0),
        ("hang-before-first", Patience(headers=9, first_token=0.3, idle=9), 0),
        ("hang-in-the-middle", Patience(headers=9, first_token=9, idle=0.3), 2),
    ],
)
async def test_patience_ends(
    vendor: FaultServer, monkeypatch: pytest.MonkeyPatch, mode: str, patience: Patience, said: int
) -> None:
    monkeypatch.setattr(openai, "PATIENCE", patience)
    began = time.monotonic()

    events, failure = await outcome(vendor.base_url, mode)

    assert type(failure) is VendorTimeout
    assert len(events) == said
    assert 0.25 < time.monotonic() - began < 1.5
    assert await asyncio.to_thread(vendor.requests[0].closed.wait, 1)


async def test_a_reader_that_takes_its_time_is_not_taken_for_a_silent_vendor(
    vendor: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai, "PATIENCE", Patience(headers=9, first_token=9, idle=0.2))
    where = Endpoint(VENDORS["deepseek"], vendor.base_url, Secret(KEY))
    said = ""

    async for event in adapter_for("openai").stream(where, "slow", HELLO):
        if isinstance(event, TextDelta):
            said += event.text
            await asyncio.sleep(0.25)

    assert said == "Hello, world!"


async def test_comments_are_no_answer_for_ever(vendor: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SECONDS_OF_COMMENTS", 0.4)
    began = time.monotonic()

    events, failure = await outcome(vendor.base_url, "only-comments")

    assert (events, type(failure)) == ([TextDelta("Hel")], VendorTimeout)
    assert 0.35 < time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    ("slug", "model", "waited_for"),
    [("openai", "gpt-4o", False), ("deepseek", "deepseek-reasoner", True), ("ollama", "llama3", True)],
)
async def test_a_model_that_reasons_or_has_to_be_loaded_may_take_longer(
    vendor: FaultServer, monkeypatch: pytest.MonkeyPatch, slug: str, model: str, waited_for: bool
) -> None:
    monkeypatch.setattr(openai, "PATIENCE", Patience(headers=0.2, first_token=0.2, idle=0.2))
    where = Endpoint(VENDORS[slug], vendor.address("late"), Secret(KEY))

    try:
        events = [event async for event in adapter_for("openai").stream(where, model, HELLO)]
    except VendorTimeout:
        events = []

    assert bool(events) is waited_for


async def test_an_address_where_nobody_listens_is_unreachable() -> None:
    _, failure = await outcome("http://127.0.0.1:1/v1", "ok")

    assert type(failure) is VendorUnreachable


async def test_a_vendor_that_does_not_speak_tls_is_unreachable(vendor: FaultServer) -> None:
    _, failure = await outcome(f"https://127.0.0.1:{vendor.port}/v1", "ok")

    assert (type(failure), vendor.requests) == (VendorUnreachable, [])


async def test_a_name_that_does_not_exist_is_unreachable() -> None:
    _, failure = await outcome("https://nobody.invalid/v1", "ok")

    assert type(failure) is VendorUnreachable


# --- What does not get out ------------------------------------------------


@pytest.mark.parametrize("mode", ["key-echoed", "key-echoed-in-stream", "400-prose", "html", "garbage"])
async def test_neither_the_key_nor_a_word_of_the_vendors_gets_out(
    vendor: FaultServer, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    caplog.set_level(logging.DEBUG)

    _, failure = await outcome(vendor.base_url, mode)
    logging.getLogger("tests").error("it failed", exc_info=failure)

    for shown in (caplog.text, str(failure), repr(failure), str(failure.as_dict())):
        assert KEY not in shown
        assert "Incorrect API key" not in shown
        assert "maximum context length" not in shown
        assert "Wi-Fi" not in shown


async def test_a_redirect_is_not_followed(vendor: FaultServer) -> None:
    with FaultServer() as elsewhere:
        vendor.redirect_to = f"{elsewhere.base_url}/chat/completions"

        _, failure = await outcome(vendor.base_url, "redirect")

        assert type(failure) is VendorFailure
        assert (len(vendor.requests), elsewhere.requests) == (1, [])


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


@pytest.mark.parametrize("mode", ["huge-line", "flood", "flood-of-comments", "gzip", "endless-error"])
async def test_memory_stays_bounded(vendor: FaultServer, mode: str) -> None:
    await outcome(vendor.base_url, mode)
    before = resident_megabytes()

    for _ in range(3):
        await outcome(vendor.base_url, mode)

    assert resident_megabytes() - before < 20
