"""The chat-completions dialect, against a vendor on a socket: what is asked, what is understood, what is closed."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace

import pytest
from pytest_django import Settings

from chatplatform.kernel.errors import AppError, KeyRejected, VendorFailure, VendorGarbled
from chatplatform.kernel.secret import Secret
from providers.adapters import adapter_for
from providers.adapters.base import Endpoint
from providers.completion import (
    Finished,
    FinishReason,
    ModelInfo,
    Prompt,
    PromptMessage,
    Role,
    Sampling,
    StreamEvent,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Usage,
    UsageReport,
)
from providers.vendors import VENDORS
from tests.vendor_server import EMOJI_TEXT, TEXT, WORDS, FaultServer

KEY = "sk-canary-0123456789"
HELLO = Prompt((PromptMessage(Role.USER, (Text("hello"),)),))
COUNTED = UsageReport(Usage(input_tokens=12, output_tokens=5))
STOPPED = Finished(FinishReason.STOP)
SAID = [TextDelta(word) for word in WORDS]


@pytest.fixture
def vendor() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def endpoint(vendor: FaultServer, slug: str = "openai", base_url: str = "") -> Endpoint:
    return Endpoint(VENDORS[slug], base_url or vendor.base_url, Secret(KEY))


async def events(where: Endpoint, model: str, prompt: Prompt = HELLO) -> list[StreamEvent]:
    async with aclosing(adapter_for("openai").stream(where, model, prompt)) as stream:
        return [event async for event in stream]


def text_of(found: list[StreamEvent]) -> str:
    return "".join(event.text for event in found if isinstance(event, TextDelta))


# --- What is asked --------------------------------------------------------


async def test_the_history_is_sent_without_its_thinking(vendor: FaultServer) -> None:
    prompt = Prompt(
        system="Be brief.",
        messages=(
            PromptMessage(Role.USER, (Text("2+2?"),)),
            PromptMessage(Role.ASSISTANT, (Thinking("hm"), Text("4"), Text("."))),
            PromptMessage(Role.USER, (Text("你好"),)),
        ),
    )

    await events(endpoint(vendor, "deepseek"), "ok", prompt)

    (seen,) = vendor.requests
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.json == {
        "model": "ok",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "4."},
            {"role": "user", "content": "你好"},
        ],
    }


async def test_sampling_is_sent_as_the_vendor_spells_it(vendor: FaultServer) -> None:
    prompt = Prompt(HELLO.messages, sampling=Sampling(temperature=0.0, top_p=0.5, max_tokens=9))

    await events(endpoint(vendor, "openai"), "ok", prompt)
    await events(endpoint(vendor, "deepseek"), "ok", prompt)

    openai, deepseek = (seen.json for seen in vendor.requests)
    assert (openai["temperature"], openai["top_p"], openai["max_completion_tokens"]) == (0.0, 0.5, 9)
    assert deepseek["max_tokens"] == 9 and "max_completion_tokens" not in deepseek


async def test_a_vendor_that_cannot_count_in_a_stream_is_not_asked_to(vendor: FaultServer) -> None:
    quiet = VENDORS["custom"]
    quiet = replace(quiet, quirks=replace(quiet.quirks, usage_in_stream=False))

    found = await events(Endpoint(quiet, vendor.base_url), "ok")

    assert "stream_options" not in vendor.requests[0].json
    assert found == [*SAID, STOPPED]


async def test_the_headers_name_us_and_say_nothing_else(
    vendor: FaultServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-somebody")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: of the machine")

    await events(endpoint(vendor, base_url=vendor.address("ok")), "ok")

    assert vendor.requests[0].headers == {
        "host": f"127.0.0.1:{vendor.port}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "authorization": f"Bearer {KEY}",
        "content-type": "application/json",
        "content-length": vendor.requests[0].headers["content-length"],
        "user-agent": f"chatplatform/{settings.VERSION}",
        "x-stainless-raw-response": "stream",
        "x-stainless-retry-count": "0",
    }


async def test_a_vendor_without_a_key_is_sent_none(vendor: FaultServer) -> None:
    await events(Endpoint(VENDORS["ollama"], vendor.base_url), "ok")

    assert "authorization" not in vendor.requests[0].headers


async def test_openrouter_learns_who_is_calling_also_in_chinese(vendor: FaultServer, settings: Settings) -> None:
    settings.HTTP_REFERER, settings.X_TITLE = "https://chat.example.com/?a=b", "聊天"

    await events(endpoint(vendor, "openrouter"), "ok")

    headers = vendor.requests[0].headers
    assert headers["http-referer"] == "https://chat.example.com/?a=b"
    assert headers["x-title"] == "%E8%81%8A%E5%A4%A9"


async def test_each_request_brings_its_own_key(vendor: FaultServer) -> None:
    one = endpoint(vendor)

    await events(one, "ok")
    await events(replace(one, key=Secret("sk-of-another")), "ok")

    assert [seen.key for seen in vendor.requests] == [KEY, "sk-of-another"]


# --- What is understood ---------------------------------------------------

ANSWERS: dict[str, list[StreamEvent]] = {
    "ok": [*SAID, COUNTED, STOPPED],
    "one": [TextDelta("Yes"), COUNTED, STOPPED],
    "empty": [COUNTED, STOPPED],
    "cached": [*SAID, UsageReport(Usage(input_tokens=12, output_tokens=5, cached_tokens=7)), STOPPED],
    "cached-deepseek": [*SAID, UsageReport(Usage(input_tokens=12, output_tokens=5, cached_tokens=7)), STOPPED],
    "absurd-usage": [*SAID, UsageReport(Usage(output_tokens=10**9)), STOPPED],
    "usage-of-zeros": [*SAID, STOPPED],
    "second-choice": [TextDelta("yes"), STOPPED],
    "usage-in-choice": [*SAID, COUNTED, STOPPED],
    "finish-length": [*SAID, Finished(FinishReason.LENGTH)],
    "finish-content_filter": [*SAID, Finished(FinishReason.CONTENT_FILTER)],
    "finish-tool_calls": [*SAID, Finished(FinishReason.TOOL_CALLS)],
    "finish-eos": [*SAID, STOPPED],
    "byte-by-byte": [TextDelta(EMOJI_TEXT), STOPPED],
    "utf8-split": [TextDelta(EMOJI_TEXT), STOPPED],
    "pair-split": [TextDelta("a"), TextDelta("😀b"), STOPPED],
    "lone-surrogate": [TextDelta("a\ufffdb"), TextDelta("\ufffd"), STOPPED],
    "controls": [TextDelta("ab[31mc\n\td"), STOPPED],
    "crlf": [*SAID, STOPPED],
    "cr": [*SAID, STOPPED],
    "comments": [*SAID, STOPPED],
    "many-lines": [TextDelta("Hello"), STOPPED],
    "no-done": [*SAID, STOPPED],
    "reset-after-finish": [*SAID, STOPPED],
    "open-after-done": [*SAID, STOPPED],
    "slow": [*SAID, COUNTED, STOPPED],
    "cookie": [TextDelta("x"), STOPPED],
}


@pytest.mark.parametrize("mode", ANSWERS)
async def test_an_answer_is_understood_however_it_is_spelt(vendor: FaultServer, mode: str) -> None:
    assert await events(endpoint(vendor), mode) == ANSWERS[mode]


@pytest.mark.parametrize(("mode", "slug"), [("thinking", "deepseek"), ("reasoning", "openrouter")])
async def test_thinking_is_told_apart_from_the_answer(vendor: FaultServer, mode: str, slug: str) -> None:
    assert await events(endpoint(vendor, slug), mode) == [
        ThinkingDelta("Let me "),
        ThinkingDelta("think."),
        *SAID,
        UsageReport(Usage(input_tokens=12, output_tokens=5, thinking_tokens=3)),
        STOPPED,
    ]


async def test_a_megabyte_comes_through_whole(vendor: FaultServer) -> None:
    assert text_of(await events(endpoint(vendor), "big")) == "x" * 1024 * 1024


async def test_nearly_twenty_thousand_tiny_pieces_come_through_whole(vendor: FaultServer) -> None:
    assert text_of(await events(endpoint(vendor), "tiny")) == "a" * 19_990


async def test_a_word_is_passed_on_when_it_comes(vendor: FaultServer) -> None:
    async with aclosing(adapter_for("openai").stream(endpoint(vendor), "hang-in-the-middle", HELLO)) as stream:
        async with asyncio.timeout(2):
            assert [await anext(stream), await anext(stream)] == [TextDelta("Hel"), TextDelta("lo")]


async def test_a_cookie_is_not_given_back(vendor: FaultServer) -> None:
    await events(endpoint(vendor), "cookie")
    await events(endpoint(vendor), "ok")

    assert "cookie" not in vendor.requests[-1].headers


# --- What becomes of the connection ---------------------------------------


async def test_a_connection_read_to_its_end_is_used_again(vendor: FaultServer) -> None:
    for _ in range(3):
        await events(endpoint(vendor), "ok")

    assert (len(vendor.requests), vendor.connections) == (3, 1)


@pytest.mark.parametrize("mode", ["hang-in-the-middle", "flood", "only-comments"])
async def test_closing_the_stream_closes_the_vendors_connection_at_once(vendor: FaultServer, mode: str) -> None:
    stream = adapter_for("openai").stream(endpoint(vendor), mode, HELLO)
    await anext(stream)
    (seen,) = vendor.requests
    assert seen.closed_at is None

    left_at = time.monotonic()
    await stream.aclose()

    assert await asyncio.to_thread(seen.closed.wait, 2)
    assert seen.closed_at is not None and seen.closed_at - left_at < 0.1


@pytest.mark.parametrize("mode", ["hang", "hang-before-first", "hang-in-the-middle"])
async def test_cancelling_the_reader_closes_the_vendors_connection_at_once(vendor: FaultServer, mode: str) -> None:
    reading = asyncio.create_task(events(endpoint(vendor), mode))
    await asyncio.sleep(0.3)
    (seen,) = vendor.requests

    left_at = time.monotonic()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    assert await asyncio.to_thread(seen.closed.wait, 2)
    assert seen.closed_at is not None and seen.closed_at - left_at < 0.1


# --- Keys and lists -------------------------------------------------------


async def test_a_good_key_passes_and_another_is_refused(vendor: FaultServer) -> None:
    vendor.good_keys = {KEY}

    await adapter_for("openai").probe(endpoint(vendor))
    with pytest.raises(KeyRejected):
        await adapter_for("openai").probe(replace(endpoint(vendor), key=Secret("sk-wrong")))

    assert [(seen.method, seen.path) for seen in vendor.requests] == [("GET", "/v1/models")] * 2


async def test_openrouters_keys_are_not_judged_by_its_public_list(vendor: FaultServer) -> None:
    await adapter_for("openai").probe(endpoint(vendor, "openrouter"))

    assert vendor.requests[0].path == "/v1/key"


@pytest.mark.parametrize(
    ("mode", "kind"), [("404", VendorFailure), ("503", VendorFailure), ("html", VendorGarbled), ("401", KeyRejected)]
)
async def test_only_a_refusal_says_something_about_a_key(vendor: FaultServer, mode: str, kind: type[AppError]) -> None:
    with pytest.raises(kind):
        await adapter_for("openai").probe(endpoint(vendor, base_url=vendor.address(mode)))


async def test_the_list_of_models(vendor: FaultServer) -> None:
    assert await adapter_for("openai").list_models(endpoint(vendor)) == [
        ModelInfo(name="gpt-4o"),
        ModelInfo(name="big", display_name="Big", context_length=200_000),
    ]


async def test_what_is_said_is_the_same_on_every_event_loop(vendor: FaultServer) -> None:
    def in_another_loop() -> str:
        return text_of(asyncio.run(whole()))

    async def whole() -> list[StreamEvent]:
        from chatplatform.kernel import outbound

        try:
            return await events(endpoint(vendor), "ok")
        finally:
            await outbound.close()

    assert text_of(await events(endpoint(vendor), "ok")) == TEXT
    assert await asyncio.to_thread(in_another_loop) == TEXT
