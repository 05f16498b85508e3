"""Coming back is reading from a number: nothing is missing and nothing is shown twice."""

import asyncio

import pytest

from chatplatform.kernel.db import in_db
from conversations.models import Generation
from tests.phone import BRIEF, SCRIPT, script

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = script({"say": "one "}, {"say": "two "}, {"wait": 0.5}, {"say": "three "}, {"wait": 0.3}, {"say": "four"})


async def test_a_second_device_sees_the_rest_of_a_running_reply(alice, socket):
    phone, laptop = await socket(alice), await socket(alice)
    accepted = await phone.say(COUNT, model_id=SCRIPT)
    await phone.until_shown(accepted["generation_id"], lambda shown: shown.text == "one two ")

    await laptop.send("resume", generation_id=accepted["generation_id"], attempt=1, after=0)
    shown = await laptop.hear_out(accepted["generation_id"])
    assert shown.text == "one two three four"
    assert shown.snapshots == 0
    assert (await phone.hear_out(accepted["generation_id"])).text == shown.text


async def test_resume_says_what_it_gives(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say(COUNT, model_id=SCRIPT)
    shown = await phone.hear_out(accepted["generation_id"])

    back = await socket(alice)
    answer = await back.ask("resume", generation_id=accepted["generation_id"], attempt=1, after=3)
    assert answer == {
        "type": "resumed",
        "id": answer["id"],
        "data": {
            "generation_id": accepted["generation_id"],
            "attempt": 1,
            "from": 3,
            "to": shown.last,
            "recovered": True,
        },
    }
    first = await back.next()
    assert first["data"].get("first", first["data"]["seq"]) <= 4 <= first["data"]["seq"]


async def test_a_reply_can_be_resumed_from_every_number(alice, socket):
    phone = await socket(alice)
    whole = await phone.hear(COUNT, model_id=SCRIPT)
    generation_id = next(iter(phone.shown))
    for after in range(whole.last + 1):
        back = await socket(alice)
        answer = await back.ask("resume", generation_id=generation_id, attempt=1, after=after)
        assert answer["data"]["to"] == whole.last
        if after < whole.last:
            last = await back.next()
            while last["type"] != "done":
                last = await back.next()
            assert last["data"]["seq"] == whole.last


async def test_resume_by_session_gives_what_runs_there(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say(COUNT, model_id=SCRIPT)
    back = await socket(alice)
    answer = await back.ask("resume", session_id=accepted["session_id"])
    assert answer["data"]["generation_id"] == accepted["generation_id"]
    assert (await back.hear_out(accepted["generation_id"])).text == "one two three four"


async def test_resume_of_a_session_in_which_nothing_was_asked_is_an_answer(alice, socket, api):
    session = (await in_db(lambda: api(alice).post("/api/v1/sessions", {}))).data
    phone = await socket(alice)
    answer = await phone.ask("resume", session_id=session["id"])
    assert answer["type"] == "resumed"
    assert answer["data"]["generation_id"] is None


async def test_a_wrong_attempt_gets_a_snapshot(alice, socket):
    phone = await socket(alice)
    await phone.hear(COUNT, model_id=SCRIPT)
    generation_id = next(iter(phone.shown))
    back = await socket(alice)
    answer = await back.ask("resume", generation_id=generation_id, attempt=7, after=2)
    assert answer["data"]["recovered"] is False
    assert (await back.hear_out(generation_id)).text == "one two three four"


async def test_a_number_that_was_never_given_out_gets_a_snapshot_and_then_the_rest(alice, socket):
    phone, back = await socket(alice), await socket(alice)
    accepted = await phone.say(COUNT, model_id=SCRIPT)
    await phone.until_shown(accepted["generation_id"], lambda shown: shown.text == "one two ")
    answer = await back.ask("resume", generation_id=accepted["generation_id"], attempt=1, after=5000)
    assert answer["data"]["recovered"] is False
    shown = await back.hear_out(accepted["generation_id"])
    assert shown.snapshots == 1
    assert shown.text == "one two three four"


async def test_a_returning_client_is_told_what_runs(alice, socket, knock):
    phone = await socket(alice)
    accepted = await phone.say(script({"say": "a"}, {"wait": 20}), model_id=SCRIPT)
    other = await socket(alice)
    assert other.frames[0]["data"]["running"] == [
        {
            "generation_id": accepted["generation_id"],
            "session_id": accepted["session_id"],
            "message_id": accepted["message_id"],
            "attempt": 1,
        }
    ]


async def test_a_device_that_follows_a_session_sees_what_another_one_asks(alice, socket):
    phone, laptop = await socket(alice), await socket(alice)
    first = await phone.say(**BRIEF)
    await phone.hear_out(first["generation_id"])
    answer = await laptop.ask("follow", session_id=first["session_id"])
    assert answer["type"] == "session"
    assert answer["data"]["following"] is True

    second = await phone.say(COUNT, session_id=first["session_id"], model_id=SCRIPT)
    heard = await laptop.until("accepted", session_id=first["session_id"])
    assert heard["generation_id"] == second["generation_id"]
    assert (await laptop.hear_out(second["generation_id"])).text == "one two three four"


async def test_a_device_that_unfollows_sees_no_more(alice, socket):
    phone, laptop = await socket(alice), await socket(alice)
    first = await phone.say(**BRIEF)
    await phone.hear_out(first["generation_id"])
    await laptop.ask("follow", session_id=first["session_id"])
    await laptop.ask("unfollow", session_id=first["session_id"])
    await phone.hear(COUNT, session_id=first["session_id"], model_id=SCRIPT)
    assert (await laptop.ask("ping"))["type"] == "pong"
    assert laptop.shown == {}


async def test_following_a_session_joins_what_is_running_there(alice, socket):
    phone, laptop = await socket(alice), await socket(alice)
    accepted = await phone.say(COUNT, model_id=SCRIPT)
    await laptop.ask("follow", session_id=accepted["session_id"])
    assert (await laptop.hear_out(accepted["generation_id"])).text == "one two three four"


async def test_text_is_saved_while_it_streams(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say(script({"say": "kept "}, {"wait": 3}, {"say": "end"}), model_id=SCRIPT)
    await phone.until_shown(accepted["generation_id"], lambda shown: shown.text == "kept ")
    for _ in range(40):
        generation = await in_db(Generation.objects.select_related("message").get, pk=accepted["generation_id"])
        if generation.message.content:
            break
        await phone.ask("ping")
        await asyncio.sleep(0.1)
    assert generation.message.content == "kept "
    assert generation.seq == phone.shown[accepted["generation_id"]].last
    assert generation.status == "running"
