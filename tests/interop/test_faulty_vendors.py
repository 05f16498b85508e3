"""Whatever a vendor does, the person sees one end with a name, keeps the text there was, and the line is let go."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import User
from chatplatform.kernel.db import in_db
from conversations.models import Conversation, Message
from providers.adapters import openai
from providers.adapters.reader import Patience
from tests.cast import Api
from tests.harness.servers import free_port
from tests.phone import Phone
from tests.vendor_server import EMOJI_TEXT, TEXT, FaultServer, Seen

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "sk-" + "the-operators-own-key-0815"
COMPLETED = {
    "ok": TEXT,
    "crlf": TEXT,
    "comments": TEXT,
    "no-done": TEXT,
    "reset-after-finish": TEXT,
    "empty": "",
    "thinking": TEXT,
    "byte-by-byte": EMOJI_TEXT,
    "utf8-split": EMOJI_TEXT,
    "pair-split": "a😀b",
    "big": "x" * 2**20,
    "tiny": "a" * 19_990,
}
ENDS = {
    # Nothing was said.
    "401": ("failed", "INVALID_API_KEY", ""),
    "402": ("failed", "KEY_OUT_OF_CREDIT", ""),
    "404": ("failed", "MODEL_NOT_FOUND", ""),
    "413": ("failed", "CONTEXT_TOO_LONG", ""),
    "422": ("failed", "MODEL_REFUSED_REQUEST", ""),
    "429": ("failed", "MODEL_BUSY", ""),
    "500": ("failed", "MODEL_UNAVAILABLE", ""),
    "503": ("failed", "MODEL_BUSY", ""),
    "504": ("failed", "MODEL_TIMEOUT", ""),
    "400-context": ("failed", "CONTEXT_TOO_LONG", ""),
    "400-filter": ("failed", "CONTENT_BLOCKED", ""),
    "429-quota": ("failed", "KEY_OUT_OF_CREDIT", ""),
    "error-with-200": ("failed", "KEY_OUT_OF_CREDIT", ""),
    "key-echoed": ("failed", "INVALID_API_KEY", ""),
    "key-echoed-in-stream": ("failed", "MODEL_UNAVAILABLE", ""),
    "busy-event": ("failed", "MODEL_BUSY", ""),
    "redirect": ("failed", "MODEL_UNAVAILABLE", ""),
    "close-at-once": ("failed", "MODEL_UNREACHABLE", ""),
    "reset-at-once": ("failed", "MODEL_UNREACHABLE", ""),
    "nothing": ("failed", "MODEL_TRUNCATED", ""),
    "not-http": ("failed", "MODEL_GARBLED", ""),
    "html": ("failed", "MODEL_GARBLED", ""),
    "gzip": ("failed", "MODEL_GARBLED", ""),
    "huge-line": ("failed", "MODEL_GARBLED", ""),
    # Something was, and is kept.
    "eof-clean": ("interrupted", "MODEL_TRUNCATED", "Hel"),
    "eof-in-a-chunk": ("interrupted", "MODEL_TRUNCATED", "Hel"),
    "reset-in-the-middle": ("interrupted", "MODEL_TRUNCATED", "Hel"),
    "done-without-finish": ("interrupted", "MODEL_TRUNCATED", "Hel"),
    "finish-cut-off": ("interrupted", "MODEL_TRUNCATED", "Hel"),
    "garbage": ("interrupted", "MODEL_GARBLED", "Hel"),
    "wrong-types": ("interrupted", "MODEL_GARBLED", "Hel"),
    "bad-utf8": ("interrupted", "MODEL_GARBLED", "Hel"),
    "deep": ("interrupted", "MODEL_GARBLED", "Hel"),
    "error-event": ("interrupted", "MODEL_UNAVAILABLE", "Hel"),
    "finish-error": ("interrupted", "MODEL_UNAVAILABLE", TEXT),
}


async def stored(shown: Any) -> Message:
    message: Message = await in_db(Message.objects.select_related("generation").get, pk=shown.done["message_id"])
    return message


async def let_go(seen: Seen, asked_at: float) -> float:
    """Wait until the vendor sees its client gone; how many seconds after `asked_at` that was."""
    assert await asyncio.to_thread(seen.closed.wait, 5), "the vendor's connection is still open"
    assert seen.closed_at is not None
    return seen.closed_at - asked_at


async def test_every_way_to_write_a_good_answer_is_read(
    faults: FaultServer, model: Callable[..., Any], alice: User, socket: Callable[..., Any]
) -> None:
    phone = await socket(alice)
    for mode, text in COMPLETED.items():
        shown = await phone.hear("Hello", model_id=await model(mode))
        assert (shown.done["status"], shown.text) == ("completed", text), mode
        assert (await stored(shown)).content == text


async def test_every_way_to_fail_has_one_end_with_a_name(
    faults: FaultServer,
    vendor_at: Callable[..., None],
    model: Callable[..., Any],
    socket: Callable[..., Any],
) -> None:
    vendor_at(faults.base_url, key=KEY)
    ends = {}
    for number, mode in enumerate(ENDS):
        if number % 20 == 0:  # people send no more than thirty messages a minute
            phone = await socket(await in_db(User.objects.create, email=f"person-{number}@example.com"))
        shown = await phone.hear("Hello", model_id=await model(mode))
        ends[mode] = (shown.done["status"], shown.done["error"]["code"], shown.text)
        message = await stored(shown)
        assert (message.content, message.generation.status) == (shown.text, shown.done["status"]), mode
        assert [frame["type"] for frame in phone.frames[-1:]] == ["done"], mode
        for words in (KEY, "Sign in to the Wi-Fi", "some_error", "Incorrect"):
            assert words not in str(phone.frames), mode
        phone.frames.clear()

    assert ends == ENDS
    assert not await in_db(Conversation.objects.exclude(active_turn=None).exists)


SILENT = {
    "hang": (Patience(headers=0.3, first_token=9, idle=9), "failed", ""),
    "hang-before-first": (Patience(headers=9, first_token=0.3, idle=9), "failed", ""),
    "hang-in-the-middle": (Patience(headers=9, first_token=9, idle=0.3), "interrupted", "Hello"),
}


@pytest.mark.parametrize("mode", SILENT)
async def test_a_vendor_that_falls_silent_is_not_waited_for(
    faults: FaultServer,
    model: Callable[..., Any],
    alice: User,
    socket: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    patience, status, text = SILENT[mode]
    monkeypatch.setattr(openai, "PATIENCE", patience)
    phone = await socket(alice)

    asked_at = time.monotonic()
    shown = await phone.hear("Hello", model_id=await model(mode))

    assert (shown.done["status"], shown.done["error"]["code"], shown.text) == (status, "MODEL_TIMEOUT", text)
    assert await let_go(faults.requests[0], asked_at) < 2


async def test_a_reply_has_an_end_however_long_the_vendor_goes_on(
    faults: FaultServer, model: Callable[..., Any], alice: User, socket: Callable[..., Any], settings: Settings
) -> None:
    settings.GENERATION_SECONDS = 0.5
    phone = await socket(alice)

    asked_at = time.monotonic()
    shown = await phone.hear("Hello", model_id=await model("only-comments"))

    assert (shown.done["status"], shown.done["error"]["code"], shown.text) == ("interrupted", "MODEL_TIMEOUT", "Hel")
    assert await let_go(faults.requests[0], asked_at) < 2


async def test_a_vendor_that_is_not_there_cannot_be_reached(
    vendor_at: Callable[..., None], model: Callable[..., Any], alice: User, socket: Callable[..., Any]
) -> None:
    vendor_at(f"http://127.0.0.1:{free_port()}/v1")
    phone = await socket(alice)

    shown = await phone.hear("Hello", model_id=await model("ok"))

    assert (shown.done["status"], shown.done["error"]["code"]) == ("failed", "MODEL_UNREACHABLE")


# --- stopping -------------------------------------------------------------------


async def asked(faults: FaultServer, phone: Phone, model_id: str) -> tuple[dict[str, Any], Seen]:
    """Send a message and wait until the vendor has the request."""
    accepted = await phone.say("Hello", model_id=model_id)
    async with asyncio.timeout(5):
        while not faults.requests:  # noqa: ASYNC110 - it grows in the vendor's thread
            await asyncio.sleep(0.01)
    return accepted, faults.requests[-1]


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("hang", ""),
        ("hang-before-first", ""),
        ("hang-in-the-middle", "Hello"),
        ("only-comments", "Hel"),
        ("flood", None),
    ],
)
async def test_a_stop_closes_the_vendors_connection_within_a_second(
    faults: FaultServer,
    model: Callable[..., Any],
    alice: User,
    socket: Callable[..., Any],
    mode: str,
    text: str | None,
) -> None:
    phone = await socket(alice)
    accepted, seen = await asked(faults, phone, await model(mode))
    if text != "":
        await phone.until_shown(accepted["generation_id"], lambda shown: shown.text == text or text is None)

    asked_at = time.monotonic()
    await phone.ask("stop", generation_id=accepted["generation_id"])
    shown = await phone.hear_out(accepted["generation_id"])

    assert await let_go(seen, asked_at) < 1
    assert shown.done["status"] == "stopped"
    assert shown.text == text or (text is None and set(shown.text) == {"a"})
    assert (await stored(shown)).content == shown.text


async def test_a_stop_by_another_device_and_a_deleted_conversation_do_so_too(
    faults: FaultServer,
    model: Callable[..., Any],
    alice: User,
    socket: Callable[..., Any],
    api: Callable[..., Api],
) -> None:
    phone, laptop, client = await socket(alice), await socket(alice), await in_db(api, alice)
    name = await model("hang-in-the-middle")

    for stop in (
        lambda session_id: laptop.ask("stop", session_id=session_id),
        lambda session_id: in_db(client.delete, f"/api/v1/sessions/{session_id}"),
    ):
        accepted, seen = await asked(faults, phone, name)
        await phone.until_shown(accepted["generation_id"], lambda shown: shown.text == "Hello")
        asked_at = time.monotonic()
        await stop(accepted["session_id"])
        assert await let_go(seen, asked_at) < 1
        assert (await phone.hear_out(accepted["generation_id"])).done["status"] == "stopped"
        faults.requests.clear()


async def test_a_phone_that_hangs_up_does_not_end_the_reply(
    faults: FaultServer, model: Callable[..., Any], alice: User, socket: Callable[..., Any]
) -> None:
    phone = await socket(alice)
    accepted, seen = await asked(faults, phone, await model("slow"))
    await phone.hang_up()

    back = await socket(alice)
    await back.ask("resume", generation_id=accepted["generation_id"])
    shown = await back.hear_out(accepted["generation_id"])

    assert (shown.done["status"], shown.text) == ("completed", TEXT)
    assert seen.closed_at is None
