"""From a model to a reply that has begun: whose key is used, and what happens when it does not work.

The vendor is a real HTTP server that answers each key as the test says.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from accounts.models import User
from chatplatform.kernel import outbound
from chatplatform.kernel.db import in_db
from chatplatform.kernel.errors import (
    AppError,
    ContextTooLong,
    KeyRejected,
    NoKeyForVendor,
    VendorBusy,
    VendorFailure,
    VendorTruncated,
)
from chatplatform.kernel.secret import Secret
from keyvault.models import ProviderKey
from keyvault.services import add_key
from providers.completion import Finished, FinishReason, Prompt, PromptMessage, Role, StreamEvent, Text, TextDelta
from providers.models import AIModel
from providers.routing.router import FAILOVER, OUTCOME_REPORT, OWN_KEY_FAILED, open_reply

pytestmark = pytest.mark.django_db(transaction=True)

OPERATORS, OWN = "sk-operators-key", "sk-alices-own-key"
HELLO = Prompt((PromptMessage(Role.USER, (Text("hello"),)),))

Answer = Callable[[], Response]


def says(*words: str, ends: bool = True) -> Answer:
    """Stream `words`, then end properly or not."""
    deltas: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in words
    ]
    if ends:
        deltas.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    lines = "".join(f"data: {json.dumps(delta)}\n\n" for delta in deltas) + ("data: [DONE]\n\n" if ends else "")
    return lambda: Response(lines, content_type="text/event-stream")


def refuses(status: int, code: str = "nope") -> Answer:
    body = json.dumps({"error": {"message": "in the vendor's own words", "type": "error", "code": code}})
    return lambda: Response(body, status, content_type="application/json")


class FakeVendor:
    """Answers by key, and remembers in which order keys were tried."""

    def __init__(self, server: HTTPServer) -> None:
        self.answers: dict[str, Answer] = {}
        self.tried: list[str] = []
        self.address = server.url_for("/v1")
        server.expect_request("/v1/chat/completions", method="POST").respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        key = request.headers["Authorization"].removeprefix("Bearer ")
        self.tried.append(key)
        return self.answers[key]()


@pytest.fixture
def vendor(httpserver: HTTPServer, settings: Settings) -> FakeVendor:
    fake = FakeVendor(httpserver)
    settings.VENDOR_ADDRESSES = {"openai": fake.address}
    settings.VENDOR_KEYS = {"openai": Secret(OPERATORS)}
    return fake


@pytest.fixture(autouse=True)
async def session() -> AsyncIterator[None]:
    yield
    await outbound.close()


@pytest.fixture
def model(transactional_db: None) -> AIModel:
    return AIModel.objects.create(vendor="openai", name="gpt-4o", display_name="GPT-4o", context_length=8192)


@pytest.fixture
def own_key(alice: User, vendor: FakeVendor) -> ProviderKey:
    return add_key(user=alice, vendor="openai", api_key=Secret(OWN), base_url=vendor.address)


async def events_of(user: User, model: AIModel) -> list[StreamEvent]:
    async with open_reply(user_id=user.pk, model=model, prompt=HELLO) as reply:
        return [event async for event in reply.events()]


async def failure_of(user: User, model: AIModel) -> AppError:
    with pytest.raises(AppError) as failure:
        await events_of(user, model)
    return failure.value


async def as_stored(key: ProviderKey) -> ProviderKey:
    return await in_db(ProviderKey.objects.get, pk=key.pk)


async def test_a_reply_has_all_its_events_the_first_one_included(
    alice: User, model: AIModel, vendor: FakeVendor
) -> None:
    vendor.answers[OPERATORS] = says("Hel", "lo")

    assert await events_of(alice, model) == [TextDelta("Hel"), TextDelta("lo"), Finished(FinishReason.STOP)]


async def test_a_persons_own_key_is_used_before_the_operators(
    alice: User, bob: User, model: AIModel, vendor: FakeVendor, own_key: ProviderKey
) -> None:
    vendor.answers |= {OWN: says("yours"), OPERATORS: says("ours")}

    async with open_reply(user_id=alice.pk, model=model, prompt=HELLO) as reply:
        assert (reply.vendor, reply.model, reply.key_id, reply.notices) == ("openai", "gpt-4o", own_key.pk, ())
    async with open_reply(user_id=bob.pk, model=model, prompt=HELLO) as reply:
        assert reply.key_id is None
    assert vendor.tried == [OWN, OPERATORS]


async def test_a_key_that_worked_is_remembered_as_valid_and_used(
    alice: User, model: AIModel, vendor: FakeVendor, own_key: ProviderKey
) -> None:
    vendor.answers[OWN] = says("fine")

    await events_of(alice, model)

    # The report is made behind the reply's back, as a task of its own.
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == OUTCOME_REPORT))
    stored = await as_stored(own_key)
    assert stored.last_used_at is not None
    assert (stored.is_valid, stored.status) == (True, "valid")


async def test_a_refused_key_gives_way_to_the_operators_and_is_marked_invalid(
    alice: User, model: AIModel, vendor: FakeVendor, own_key: ProviderKey
) -> None:
    vendor.answers |= {OWN: refuses(401), OPERATORS: says("ours")}

    async with open_reply(user_id=alice.pk, model=model, prompt=HELLO) as reply:
        assert await anext(reply.events()) == TextDelta("ours")
        assert (reply.key_id, reply.notices) == (None, (OWN_KEY_FAILED,))

    stored = await as_stored(own_key)
    assert (stored.is_valid, stored.status) == (False, "invalid")

    await events_of(alice, model)
    assert vendor.tried == [OWN, OPERATORS, OPERATORS]


async def test_a_key_without_credit_gives_way_but_stays_usable(
    alice: User, model: AIModel, vendor: FakeVendor, own_key: ProviderKey
) -> None:
    vendor.answers |= {OWN: refuses(402), OPERATORS: says("ours")}

    assert (await events_of(alice, model))[0] == TextDelta("ours")
    stored = await as_stored(own_key)
    assert (stored.is_valid, stored.status) == (True, "exhausted")


@pytest.mark.parametrize("status", [429, 500, 503, 504])
async def test_a_vendor_in_trouble_is_tried_with_the_next_key_and_the_first_keeps_its_good_name(
    alice: User, model: AIModel, vendor: FakeVendor, own_key: ProviderKey, status: int
) -> None:
    vendor.answers |= {OWN: refuses(status), OPERATORS: says("ours")}

    async with open_reply(user_id=alice.pk, model=model, prompt=HELLO) as reply:
        assert reply.notices == (FAILOVER,)
    stored = await as_stored(own_key)
    assert (stored.is_valid, stored.status) == (True, "unchecked")


async def test_a_failure_that_no_key_can_cure_is_final(
    alice: User, model: AIModel, vendor: FakeVendor, own_key: ProviderKey
) -> None:
    vendor.answers |= {OWN: refuses(400, "context_length_exceeded"), OPERATORS: says("ours")}

    assert type(await failure_of(alice, model)) is ContextTooLong
    assert vendor.tried == [OWN]


async def test_when_every_candidate_fails_the_last_failure_is_told(
    alice: User, model: AIModel, vendor: FakeVendor, own_key: ProviderKey
) -> None:
    vendor.answers |= {OWN: refuses(401), OPERATORS: refuses(503)}

    assert type(await failure_of(alice, model)) is VendorBusy
    assert vendor.tried == [OWN, OPERATORS]


async def test_a_refusal_of_the_only_key_is_told_in_our_words(alice: User, model: AIModel, vendor: FakeVendor) -> None:
    vendor.answers[OPERATORS] = refuses(401)

    failure = await failure_of(alice, model)

    assert type(failure) is KeyRejected
    assert failure.details == {"vendor": "openai"}
    assert "own words" not in str(failure.as_dict())


async def test_a_reply_that_breaks_off_is_never_begun_again(
    alice: User, model: AIModel, vendor: FakeVendor, own_key: ProviderKey
) -> None:
    vendor.answers |= {OWN: says("half a", ends=False), OPERATORS: says("another")}

    seen = []
    with pytest.raises(VendorTruncated):
        async with open_reply(user_id=alice.pk, model=model, prompt=HELLO) as reply:
            async for event in reply.events():
                seen.append(event)

    assert seen == [TextDelta("half a")]
    assert vendor.tried == [OWN]


async def test_a_stream_without_any_event_counts_as_not_begun(
    alice: User, model: AIModel, vendor: FakeVendor, own_key: ProviderKey
) -> None:
    vendor.answers |= {OWN: says(ends=False), OPERATORS: says("ours")}

    assert (await events_of(alice, model))[0] == TextDelta("ours")


async def test_without_any_key_the_person_is_asked_for_one(alice: User, model: AIModel, settings: Settings) -> None:
    settings.VENDOR_KEYS = {}

    failure = await failure_of(alice, model)

    assert type(failure) is NoKeyForVendor
    assert failure.details == {"vendor": "openai"}


async def test_a_vendor_out_of_reach_is_a_failure_of_its_own(alice: User, model: AIModel, settings: Settings) -> None:
    settings.VENDOR_KEYS = {"openai": Secret(OPERATORS)}
    settings.VENDOR_ADDRESSES = {"openai": "http://127.0.0.1:9/v1"}

    assert isinstance(await failure_of(alice, model), VendorFailure)


async def test_the_built_in_model_needs_nobodys_key(alice: User, settings: Settings) -> None:
    settings.VENDOR_KEYS = {}
    echo = await in_db(AIModel.objects.create, vendor="scripted", name="echo", display_name="Echo", context_length=8192)

    said = ""
    async with open_reply(user_id=alice.pk, model=echo, prompt=HELLO) as reply:
        async for event in reply.events():
            said += event.text if isinstance(event, TextDelta) else ""
            if "hello" in said:
                break

    assert (reply.vendor, reply.key_id) == ("scripted", None)


# --- leaving ---------------------------------------------------------------


class SlowVendor:
    """Says `first` (nothing, if empty), then is silent, and notices when its caller hangs up."""

    def __init__(self) -> None:
        self.asked, self.hung_up = asyncio.Event(), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        if first:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + first)
            await writer.drain()
        while await reader.read(65536):
            pass
        self.hung_up.set()
        writer.close()


@asynccontextmanager
async def slow_vendor(settings: Settings, *, first: bytes = b"") -> AsyncIterator[SlowVendor]:
    slow = SlowVendor()
    server = await asyncio.start_server(lambda r, w: slow.serve(r, w, first), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings.VENDOR_ADDRESSES = {"openai": f"http://127.0.0.1:{port}/v1"}
    settings.VENDOR_KEYS = {"openai": Secret(OPERATORS)}
    async with server:
        yield slow


async def test_leaving_early_hangs_up_on_the_vendor(alice: User, model: AIModel, settings: Settings) -> None:
    first = b'data: {"choices": [{"index": 0, "delta": {"content": "one"}, "finish_reason": null}]}\n\n'
    async with slow_vendor(settings, first=first) as slow:
        async with open_reply(user_id=alice.pk, model=model, prompt=HELLO) as reply:
            async for event in reply.events():
                assert event == TextDelta("one")
                break
        await asyncio.wait_for(slow.hung_up.wait(), 2)


async def test_being_cancelled_before_the_first_event_hangs_up_on_the_vendor(
    alice: User, model: AIModel, settings: Settings
) -> None:
    async with slow_vendor(settings) as slow:
        waiting = asyncio.create_task(events_of(alice, model))
        await asyncio.wait_for(slow.asked.wait(), 5)

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(slow.hung_up.wait(), 2)
