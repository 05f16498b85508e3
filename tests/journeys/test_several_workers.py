"""Any worker serves any socket: a reply is written by one and read on all."""

import asyncio
import time

import pytest

from tests.phone import SCRIPT, script
from tests.server import cluster

pytestmark = pytest.mark.workers

SLOW = script(*({"say": f"word{number} "} for number in range(40)), {"wait": 0.5}, {"say": "end"})
PACED = script({"say": "tick ", "times": 60, "every": 0.02})
ENDLESS = script({"say": "on ", "times": 5000, "every": 0.02})


@pytest.fixture(scope="module")
def three():
    with cluster(3) as made:
        yield made.workers


async def test_two_sockets_on_two_workers_see_the_same_events_in_order(three):
    person = three[0].register()
    phone, laptop = await three[0].phone(person), await three[1].phone(person)
    accepted = await phone.say(PACED, model_id=SCRIPT)
    await laptop.send("resume", generation_id=accepted["generation_id"], attempt=1, after=0)

    here, there = await asyncio.gather(
        phone.hear_out(accepted["generation_id"]), laptop.hear_out(accepted["generation_id"])
    )
    assert here.text == there.text == "tick " * 60
    assert here.last == there.last
    assert there.snapshots == 0
    assert laptop.resumes == phone.resumes == 0
    assert here.done == there.done


async def test_words_reach_another_worker_while_they_are_written(three):
    person = three[0].register()
    phone, laptop = await three[0].phone(person), await three[1].phone(person)
    accepted = await phone.say(script({"say": "a ", "times": 30, "every": 0.05}), model_id=SCRIPT)
    await laptop.send("resume", generation_id=accepted["generation_id"], attempt=1, after=0)
    await laptop.hear_out(accepted["generation_id"])
    pieces = [frame for frame in laptop.frames if frame["type"] == "stream"]
    assert len(pieces) > 8, "it came in pieces over the second and a half that it took, not all at the end"


async def test_a_device_on_another_worker_follows_a_conversation(three):
    person = three[0].register()
    phone, laptop = await three[0].phone(person), await three[2].phone(person)
    first = await phone.say(script({"say": "one"}), model_id=SCRIPT)
    await phone.hear_out(first["generation_id"])
    await laptop.ask("follow", session_id=first["session_id"])

    second = await phone.say(PACED, session_id=first["session_id"], model_id=SCRIPT)
    await laptop.until("accepted", session_id=first["session_id"])
    assert (await laptop.hear_out(second["generation_id"])).text == "tick " * 60


async def test_a_reply_is_stopped_from_another_worker(three):
    person = three[0].register()
    phone, laptop = await three[0].phone(person), await three[1].phone(person)
    accepted = await phone.say(ENDLESS, model_id=SCRIPT)
    await phone.until_shown(accepted["generation_id"], lambda shown: len(shown.text) > 10)

    began = time.monotonic()
    await laptop.ask("stop", generation_id=accepted["generation_id"])
    shown = await phone.hear_out(accepted["generation_id"])
    assert shown.done["status"] == "stopped"
    assert time.monotonic() - began < 5
    stored = three[2].call("GET", f"/api/v1/messages/{accepted['message_id']}", token=person["access_token"])["data"]
    assert stored["content"] == shown.text


async def test_a_reply_that_has_ended_is_read_from_the_log_on_another_worker(three):
    person = three[0].register()
    phone = await three[0].phone(person)
    whole = await phone.hear(SLOW, model_id=SCRIPT)
    generation_id = next(iter(phone.shown))
    laptop = await three[1].phone(person)
    answer = await laptop.ask("resume", generation_id=generation_id, attempt=1, after=5)
    assert answer["data"]["recovered"] is True
    assert answer["data"]["to"] == whole.last


async def test_the_same_send_through_two_workers_at_once_is_one_message(three):
    person = three[0].register()
    phones = [await worker.phone(person) for worker in three]
    for number in range(5):
        answers = await asyncio.gather(
            *(
                phone.say(script({"say": "once"}), model_id=SCRIPT, client_message_id=f"client-{number:04}")
                for phone in phones
            )
        )
        assert len({answer["message_id"] for answer in answers}) == 1
        assert sum("duplicate" not in answer for answer in answers) == 1


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_an_idle_socket_lives_for_a_minute(three):
    person = three[0].register()
    phone = await three[0].phone(person)
    await asyncio.sleep(61)
    assert (await phone.ask("ping"))["type"] == "pong"
    await phone.hear(script({"say": "still here"}), model_id=SCRIPT)


async def test_a_reply_whose_worker_is_killed_is_ended_by_another_with_its_text():
    with cluster(2, LEASE_SECONDS="3") as made:
        first, second = made.workers
        person = first.register()
        phone, laptop = await first.phone(person), await second.phone(person)
        accepted = await phone.say(ENDLESS, model_id=SCRIPT)
        await laptop.send("resume", generation_id=accepted["generation_id"], attempt=1, after=0)
        seen = await laptop.until_shown(accepted["generation_id"], lambda shown: len(shown.text) > 100)
        before = seen.text
        first.process.kill()

        async with asyncio.timeout(30):
            while laptop.shown[accepted["generation_id"]].done is None:
                await laptop.next(patience=30)
        shown = laptop.shown[accepted["generation_id"]]
        assert shown.done["status"] == "interrupted"
        assert shown.done["error"]["code"] == "WORKER_LOST"
        assert shown.text.startswith(before)
        # The conversation is free for the next message.
        await laptop.hear(script({"say": "again"}), session_id=accepted["session_id"], model_id=SCRIPT)
