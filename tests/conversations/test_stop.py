"""Stop: from any device, at any moment, with the text so far kept and one terminal event."""

import pytest

from chatplatform.kernel.db import in_db
from conversations.models import Conversation, Message
from tests.phone import BRIEF, SCRIPT, script

pytestmark = pytest.mark.django_db(transaction=True)

ENDLESS = script({"say": "on and "}, {"say": "on ", "times": 2000, "every": 0.02})


async def test_stop_keeps_what_was_written(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say(ENDLESS, model_id=SCRIPT)
    await phone.until_shown(accepted["generation_id"], lambda shown: len(shown.text) > 20)

    answer = await phone.ask("stop", generation_id=accepted["generation_id"])
    assert answer["data"]["code"] == "stopping"
    shown = await phone.hear_out(accepted["generation_id"])
    assert shown.done["status"] == "stopped"
    assert "error" not in shown.done
    message = await in_db(Message.objects.get, pk=accepted["message_id"])
    assert message.content == shown.text != ""
    assert message.tokens_output > 0


async def test_stop_from_another_device_by_session(alice, socket):
    phone, laptop = await socket(alice), await socket(alice)
    accepted = await phone.say(ENDLESS, model_id=SCRIPT)
    await laptop.ask("stop", session_id=accepted["session_id"])
    assert (await phone.hear_out(accepted["generation_id"])).done["status"] == "stopped"


async def test_stop_before_the_first_word(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say(script({"wait": 30}, {"say": "late"}), model_id=SCRIPT)
    await phone.ask("stop", generation_id=accepted["generation_id"])
    shown = await phone.hear_out(accepted["generation_id"])
    assert (shown.done["status"], shown.text) == ("stopped", "")


async def test_stop_is_free_to_come_twice_and_too_late(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say(ENDLESS, model_id=SCRIPT)
    await phone.ask("stop", generation_id=accepted["generation_id"])
    await phone.hear_out(accepted["generation_id"])
    answer = await phone.ask("stop", generation_id=accepted["generation_id"])
    assert answer["data"]["code"] == "nothing_to_stop"
    assert [frame["type"] for frame in phone.frames].count("done") == 1


async def test_a_stopped_conversation_takes_the_next_message(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say(ENDLESS, model_id=SCRIPT)
    await phone.ask("stop", session_id=accepted["session_id"])
    await phone.hear_out(accepted["generation_id"])
    await phone.hear(**BRIEF, session_id=accepted["session_id"])
    assert await in_db(Conversation.objects.filter(active_turn=None).count) == 1


async def test_deleting_a_conversation_stops_what_is_written_in_it(alice, socket, api):
    phone = await socket(alice)
    accepted = await phone.say(ENDLESS, model_id=SCRIPT)
    await phone.until_shown(accepted["generation_id"], lambda shown: shown.text != "")
    answer = await in_db(lambda: api(alice).delete(f"/api/v1/sessions/{accepted['session_id']}"))
    assert answer.status == 200
    assert (await phone.hear_out(accepted["generation_id"])).done["status"] == "stopped"
