"""A reply that broke off goes on: one text, with the seam marked."""

import pytest

from chatplatform.kernel.db import in_db
from conversations.context.builder import build_prompt
from conversations.models import Generation, Message
from tests.phone import SCRIPT, script

pytestmark = pytest.mark.django_db(transaction=True)


async def ends_early(phone, *steps):
    accepted = await phone.say(script(*steps), model_id=SCRIPT)
    await phone.hear_out(accepted["generation_id"])
    return accepted


@pytest.mark.parametrize("how", [{"cut": True}, {"finish": "length"}, {"fail": "MODEL_TIMEOUT"}])
async def test_a_reply_goes_on_from_where_it_broke_off(alice, socket, how):
    phone = await socket(alice)
    first = await ends_early(phone, {"think": "Hm."}, {"say": "Once upon 🌏 "}, how)

    answer = await phone.ask("continue", message_id=first["message_id"], model_id="scripted/echo")

    assert answer["type"] == "accepted"
    assert answer["data"]["user_message_id"] == first["user_message_id"]
    assert answer["data"]["message_id"] != first["message_id"]
    shown = await phone.hear_out(answer["data"]["generation_id"])
    assert shown.done["status"] == "completed"
    assert shown.text.startswith("Once upon 🌏 ")
    assert len(shown.text) > 50
    seam = next(frame["data"] for frame in phone.frames if frame["data"].get("code") == "continued")
    assert seam["off"] == len("Once upon 🌏 ") + 1
    stored = await in_db(Message.objects.get, pk=answer["data"]["message_id"])
    assert (stored.content, stored.version) == (shown.text, 2)
    assert (await in_db(Message.objects.get, pk=first["message_id"])).content == "Once upon 🌏 "


async def test_the_model_sees_its_answer_so_far(alice, socket):
    phone = await socket(alice)
    first = await ends_early(phone, {"say": "Once upon"}, {"cut": True})
    answer = await phone.ask("continue", message_id=first["message_id"])
    generation = await in_db(Generation.objects.whole().get, pk=answer["data"]["generation_id"])
    prompt = await in_db(build_prompt, generation)
    assert [message.role.value for message in prompt.messages] == ["user", "assistant", "user"]
    assert prompt.messages[1].text == "Once upon"


async def test_a_complete_reply_is_not_continued(alice, socket):
    phone = await socket(alice)
    first = await ends_early(phone, {"say": "All."})
    answer = await phone.ask("continue", message_id=first["message_id"])
    assert answer["data"]["code"] == "NOTHING_TO_CONTINUE"
    asked = await phone.ask("continue", message_id=first["user_message_id"])
    assert asked["data"]["code"] == "NOTHING_TO_CONTINUE"


async def test_the_next_message_answers_the_continued_reply(alice, socket):
    phone = await socket(alice)
    first = await ends_early(phone, {"say": "Once "}, {"cut": True})
    second = (await phone.ask("continue", message_id=first["message_id"], model_id="scripted/echo"))["data"]
    await phone.hear_out(second["generation_id"])
    third = await phone.say(script({"say": "x"}), session_id=first["session_id"], model_id=SCRIPT)
    asked = await in_db(Message.objects.get, pk=third["user_message_id"])
    assert str(asked.parent_id) == second["message_id"]


async def test_only_the_latest_reply_is_continued_or_what_was_said_since_would_be_lost(alice, socket):
    phone = await socket(alice)
    first = await ends_early(phone, {"say": "Once "}, {"cut": True})
    await phone.hear(script({"say": "x"}), session_id=first["session_id"], model_id=SCRIPT)
    answer = await phone.ask("continue", message_id=first["message_id"])
    assert answer["data"]["code"] == "NOTHING_TO_CONTINUE"


async def test_a_continued_reply_is_charged_for_its_own_words(alice, socket):
    phone = await socket(alice)
    first = await ends_early(phone, {"say": "word " * 2000}, {"cut": True})
    again = (await phone.ask("continue", message_id=first["message_id"], model_id="scripted/echo"))["data"]
    await phone.until("notice", code="continued")
    await phone.ask("stop", generation_id=again["generation_id"])
    shown = await phone.hear_out(again["generation_id"])
    assert shown.text.startswith("word " * 2000)
    assert shown.done["usage"]["tokens_output"] < 500
