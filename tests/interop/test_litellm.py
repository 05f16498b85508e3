"""LiteLLM's proxy, the gateway most often found in front of models, as the vendor. Its models answer by themselves.

It is half a gigabyte, so that `make interop` runs this and `make test` does not.
"""

import json
import signal
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import User
from chatplatform.kernel.db import in_db
from conversations.models import Message
from providers.models import AIModel
from tests.harness import fetched, servers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.litellm, pytest.mark.timeout(300)]

MASTER_KEY = "sk-" + "the-proxys-own-key"
TEXT = "The quick brown fox jumps over the lazy dog. 敏捷的棕色狐狸 🦊"
# What a model says, or how it fails, in LiteLLM's own words for it.
ANSWERS = {
    "talker": TEXT,
    "limited": "litellm.RateLimitError",
    "broken": "litellm.InternalServerError",
    "narrow": "litellm.ContextWindowExceededError",
}


def configuration() -> dict[str, Any]:
    def model(name: str, answer: str) -> dict[str, Any]:
        return {
            "model_name": name,
            "litellm_params": {"model": "openai/gpt-4o", "api_key": "none", "mock_response": answer},
        }

    return {
        "model_list": [model(name, answer) for name, answer in ANSWERS.items()],
        "general_settings": {"master_key": MASTER_KEY},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }


@pytest.fixture(scope="module")
def proxy() -> Iterator[str]:
    """The address of a proxy of our own."""
    program = fetched.beside(fetched.LITELLM).with_name("litellm")
    port = servers.free_port()

    def answers() -> None:
        urllib.request.urlopen(f"http://{servers.HOST}:{port}/health/liveliness", timeout=2).close()

    with servers.folder() as home:
        settings = home / "config.yaml"
        settings.write_text(json.dumps(configuration(), ensure_ascii=False), encoding="utf-8")  # which is YAML too
        command = [str(program), "--config", str(settings), "--host", servers.HOST, "--port", str(port)]
        # It would ask the network for a list of prices.
        env = {
            "PATH": str(program.parent),
            "HOME": str(home),
            "PYTHONUTF8": "1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        log, stop = home / "log", signal.SIGTERM
        with servers.running(command, log=log, answers=answers, stop=stop, within=120, cwd=home, env=env):
            yield f"http://{servers.HOST}:{port}/v1"


@pytest.fixture
def models(proxy: str, vendor_at: Callable[..., None], catalogue: None) -> str:
    """The proxy is the operator's own vendor, and its models are in the catalogue."""
    vendor_at(proxy, key=MASTER_KEY)
    call_command("sync_models", vendor="custom", verbosity=0)
    return proxy


async def test_its_list_becomes_the_catalogues(models: str) -> None:
    names = await in_db(lambda: set(AIModel.objects.filter(vendor="custom").values_list("name", flat=True)))

    assert names == set(ANSWERS)


async def test_a_reply_streams_with_its_own_count(models: str, alice: User, socket: Callable[..., Any]) -> None:
    phone = await socket(alice)

    shown = await phone.hear("Tell me something", model_id="custom/talker")

    assert (shown.text, shown.done["status"], shown.done["finish_reason"]) == (TEXT, "completed", "stop")
    assert shown.done["usage"]["estimated"] is False
    assert shown.done["usage"]["tokens_output"] > 5
    message = await in_db(Message.objects.get, pk=shown.done["message_id"])
    assert (message.content, message.tokens_output) == (TEXT, shown.done["usage"]["tokens_output"])


@pytest.mark.parametrize(
    ("model", "code"),
    [("limited", "MODEL_BUSY"), ("broken", "MODEL_UNAVAILABLE"), ("narrow", "CONTEXT_TOO_LONG")],
)
async def test_what_is_no_answer_has_our_name(
    models: str, alice: User, socket: Callable[..., Any], model: str, code: str
) -> None:
    phone = await socket(alice)

    shown = await phone.hear("Tell me something", model_id=f"custom/{model}")

    assert (shown.done["status"], shown.done["error"]["code"], shown.text) == ("failed", code, "")
    assert "litellm" not in str(phone.frames).lower()


async def test_a_model_that_is_gone_and_a_key_that_is_wrong_are_no_answers(
    models: str, vendor_at: Callable[..., None], alice: User, socket: Callable[..., Any]
) -> None:
    phone = await socket(alice)
    await in_db(AIModel.objects.filter(name="talker").update, name="talker-2")

    gone = await phone.hear("Tell me something", model_id="custom/talker-2")
    vendor_at(models, key="sk-" + "another-key")
    refused = await phone.hear("Tell me something", model_id="custom/broken")

    # It calls both a malformed request: without a database of its own it cannot look a key up.
    assert gone.done["error"]["code"] == refused.done["error"]["code"] == "MODEL_REFUSED_REQUEST"
    assert (await phone.ask("ping"))["type"] == "pong"
