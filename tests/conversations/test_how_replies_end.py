"""Completed needs a finish reason. Everything else says what it was, and keeps what there is."""

import pytest

from chatplatform.kernel.db import in_db
from conversations.models import Message
from tests.phone import SCRIPT, script

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("steps", "status", "code", "text"),
    [
        ([{"say": "all"}, {"finish": "stop"}], "completed", None, "all"),
        ([{"say": "as far as it"}, {"finish": "length"}], "completed", None, "as far as it"),
        ([{"say": "half a"}, {"cut": True}], "interrupted", "MODEL_TRUNCATED", "half a"),
        ([{"cut": True}], "failed", "MODEL_TRUNCATED", ""),
        ([{"fail": "MODEL_BUSY"}], "failed", "MODEL_BUSY", ""),
        ([{"say": "half"}, {"fail": "MODEL_TIMEOUT"}], "interrupted", "MODEL_TIMEOUT", "half"),
    ],
)
async def test_a_reply_ends_as_it_did(alice, socket, steps, status, code, text):
    phone = await socket(alice)
    shown = await phone.hear(script(*steps), model_id=SCRIPT)
    assert (shown.done["status"], shown.text) == (status, text)
    assert shown.done.get("error", {}).get("code") == code
    if code:
        assert shown.done["error"]["message"]
        assert shown.done["error"]["retryable"] is True
    assert not [frame for frame in phone.frames if frame["type"] == "error"]
    assert (await in_db(Message.objects.get, pk=shown.done["message_id"])).content == text


async def test_an_error_is_said_in_the_persons_language(alice, socket, knock):
    from tests.conversations.conftest import token_of

    token = await in_db(token_of, alice)
    phone = await knock(f"/ws/chat?token={token}", headers=[(b"accept-language", b"zh-CN,zh;q=0.9")])
    await phone.next()
    shown = await phone.hear(script({"fail": "MODEL_BUSY"}), model_id=SCRIPT)
    assert shown.done["error"]["message"] == "模型繁忙，请稍后再试。"


async def test_usage_is_marked_as_an_estimate_when_the_vendor_sent_none(alice, socket):
    phone = await socket(alice)
    shown = await phone.hear(script({"say": "words"}, {"finish": "stop"}), model_id=SCRIPT)
    assert shown.done["usage"]["estimated"] is True

    shown = await phone.hear(script({"say": "words"}, {"usage": [7, 11]}, {"finish": "stop"}), model_id=SCRIPT)
    assert shown.done["usage"] == {"tokens_input": 7, "tokens_output": 11, "estimated": False}


async def test_too_long_for_the_window_is_said_before_anybody_is_asked(alice, socket):
    from providers.models import AIModel

    await in_db(AIModel.objects.filter(name="script").update, context_length=50)
    phone = await socket(alice)
    shown = await phone.hear("long " * 200, model_id=SCRIPT)
    assert shown.done["status"] == "failed"
    assert shown.done["error"]["code"] == "CONTEXT_TOO_LONG"
