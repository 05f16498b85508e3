"""A mock of OpenAI's API that somebody else wrote and published, called as any vendor is: listed, asked, failing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from accounts.models import User
from chatplatform.kernel.db import in_db
from conversations.models import Generation, Message
from keyvault.models import ProviderKey
from providers.models import AIModel
from tests.cast import Api

pytestmark = pytest.mark.django_db(transaction=True)

TALKER, SLOW = "custom/gpt-4.1:mock-text", "custom/gpt-4.1:mock-delay"
GREETING = "Hello. It's nice to meet you."


@pytest.fixture
def mock(mock_ai_api: str, vendor_at: Callable[..., None], catalogue: None) -> str:
    """The mock is the operator's own vendor, and its models are in the catalogue."""
    vendor_at(mock_ai_api)
    call_command("sync_models", vendor="custom", verbosity=0)
    return mock_ai_api


def test_the_catalogue_takes_over_its_list(mock: str, alice: User, api: Callable[..., Api]) -> None:
    added = AIModel.objects.filter(vendor="custom")
    listed = api(alice).get("/api/v1/models?provider=custom&limit=100").data

    assert added.filter(name="gpt-4.1:mock-429", is_active=True).exists()
    assert {model["qualified_name"] for model in listed} == {model.qualified_name for model in added} >= {TALKER, SLOW}


async def test_a_reply_streams_with_the_vendors_own_count(mock: str, alice: User, socket: Callable[..., Any]) -> None:
    phone = await socket(alice)

    shown = await phone.hear("Hello there", model_id=TALKER)

    # It counts two tokens a word.
    usage = {"tokens_input": 4, "tokens_output": 12, "estimated": False}
    assert (shown.text, shown.done["status"], shown.done["finish_reason"]) == (GREETING, "completed", "stop")
    assert shown.done["usage"] == usage
    assert [frame["type"] for frame in phone.frames if frame["type"] in ("started", "usage", "done")] == [
        "started",
        "usage",
        "done",
    ]
    reply = await in_db(Message.objects.select_related("generation").get, pk=shown.done["message_id"])
    assert (reply.content, reply.tokens_input, reply.tokens_output) == (GREETING, 4, 12)
    assert (reply.generation.vendor, reply.generation.usage_estimated) == ("custom", False)


async def test_words_arrive_as_they_are_written(mock: str, alice: User, socket: Callable[..., Any]) -> None:
    phone = await socket(alice)

    question = " ".join(f"word{number}" for number in range(40))
    shown = await phone.hear(question, model_id=SLOW)

    assert shown.text == f"Mock stream for: {question}"
    assert len([frame for frame in phone.frames if frame["type"] == "stream"]) >= 4


async def test_it_is_told_what_was_said_before(mock: str, alice: User, socket: Callable[..., Any]) -> None:
    phone = await socket(alice)

    accepted = await phone.say("My name is Alice", model_id=TALKER)
    await phone.hear_out(accepted["generation_id"])
    shown = await phone.hear("Who am I", session_id=accepted["session_id"], model_id=SLOW)

    # It repeats all that it was sent, a message a line, and takes every white space for one.
    assert shown.text.split() == f"Mock stream for: My name is Alice {GREETING} Who am I".split()


ERRORS = {
    "400": ("MODEL_REFUSED_REQUEST", False),
    "401": ("INVALID_API_KEY", False),
    "429": ("MODEL_BUSY", True),
    "500": ("MODEL_UNAVAILABLE", True),
    "503": ("MODEL_BUSY", True),
}


@pytest.mark.parametrize("status", ERRORS)
async def test_its_refusals_have_our_names(mock: str, alice: User, socket: Callable[..., Any], status: str) -> None:
    phone = await socket(alice)
    code, retryable = ERRORS[status]

    shown = await phone.hear("Hello", model_id=f"custom/gpt-4.1:mock-{status}")

    assert (shown.done["status"], shown.text) == ("failed", "")
    assert (shown.done["error"]["code"], shown.done["error"]["retryable"]) == (code, retryable)
    assert "Mock scenario" not in str(phone.frames)
    generation = await in_db(Generation.objects.get, message=shown.done["message_id"])
    assert (generation.status, generation.error_code) == ("failed", code)


async def test_a_model_that_calls_for_a_tool_ends_without_words(
    mock: str, alice: User, socket: Callable[..., Any]
) -> None:
    phone = await socket(alice)

    shown = await phone.hear("Write a file", model_id="custom/gpt-4.1:mock-tool-stream")

    assert (shown.done["status"], shown.done["finish_reason"], shown.text) == ("completed", "tool_calls", "")


async def test_a_stop_keeps_what_it_had_said(mock: str, alice: User, socket: Callable[..., Any]) -> None:
    phone = await socket(alice)
    question = " ".join(f"word{number}" for number in range(600))

    accepted = await phone.say(question, model_id=SLOW)
    await phone.until_shown(accepted["generation_id"], lambda shown: "word10 " in shown.text)
    await phone.ask("stop", generation_id=accepted["generation_id"])
    shown = await phone.hear_out(accepted["generation_id"])

    assert shown.done["status"] == "stopped"
    assert f"Mock stream for: {question}".startswith(shown.text)
    assert 0 < len(shown.text) < len(question)


# --- with a person's own key ----------------------------------------------------


@pytest.fixture
def as_openai(mock_ai_api: str, settings: Settings, catalogue: None) -> str:
    """The mock stands where the operator says that OpenAI is; there is no key but people's own."""
    settings.VENDOR_ADDRESSES, settings.VENDOR_KEYS, settings.DEFAULT_MODEL = {"openai": mock_ai_api}, {}, ""
    for name in ("gpt-4.1:mock-text", "gpt-4.1:mock-401"):
        AIModel.objects.create(vendor="openai", name=name, display_name=name, context_length=8192)
    return mock_ai_api


def add_key(client: Api) -> str:
    return str(client.post("/api/v1/keys", {"provider": "openai", "api_key": "sk-" + "a-key-of-alices-own"}).data["id"])


async def test_a_persons_own_key_is_checked_and_used(
    as_openai: str, alice: User, api: Callable[..., Api], socket: Callable[..., Any]
) -> None:
    client = await in_db(api, alice)
    phone = await socket(alice)
    assert (await phone.ask("message", content="Hello", model_id="gpt-4.1:mock-text"))["data"][
        "code"
    ] == "MODEL_NOT_FOUND"

    key_id = await in_db(add_key, client)
    assert (await in_db(client.post, f"/api/v1/keys/{key_id}/validate")).data["outcome"] == "valid"
    shown = await phone.hear("Hello", model_id="gpt-4.1:mock-text")

    assert (shown.text, shown.done["status"]) == (GREETING, "completed")
    generation = await in_db(Generation.objects.get, message=shown.done["message_id"])
    assert (generation.vendor, str(generation.key_id)) == ("openai", key_id)
    assert (await in_db(ProviderKey.objects.get, pk=key_id)).last_used_at is not None


async def test_a_key_that_it_refuses_is_marked_and_used_no_more(
    as_openai: str, alice: User, api: Callable[..., Api], socket: Callable[..., Any]
) -> None:
    client = await in_db(api, alice)
    key_id = await in_db(add_key, client)
    phone = await socket(alice)

    shown = await phone.hear("Hello", model_id="gpt-4.1:mock-401")

    assert (shown.done["status"], shown.done["error"]["code"]) == ("failed", "INVALID_API_KEY")
    key = (await in_db(client.get, f"/api/v1/keys/{key_id}")).data
    assert (key["is_valid"], key["status"]) == (False, "invalid")
    # Nobody is signed out by a vendor's refusal, and the model is not offered until there is a key that works.
    assert (await phone.ask("ping"))["type"] == "pong"
    again = await phone.ask("message", content="Hello", model_id="gpt-4.1:mock-text")
    assert again["data"]["code"] == "MODEL_NOT_FOUND"
