"""A reader that does not keep up costs nobody else anything, and gets everything once it reads again."""

import asyncio

import pytest

from chatplatform.kernel.db import in_db
from conversations import limits
from conversations.models import Message
from conversations.realtime import window
from conversations.streaming import listener
from tests.conversations.conftest import token_of
from tests.phone import SCRIPT, script

pytestmark = pytest.mark.django_db(transaction=True)

MANY = script({"say": "event ", "times": 1500, "every": 0.001})


async def test_nothing_more_is_sent_beyond_the_window_until_the_reader_acknowledges(alice, socket):
    phone, laptop = await socket(alice), await socket(alice)
    laptop.acknowledges = False
    accepted = await phone.say(MANY, model_id=SCRIPT)
    generation_id = accepted["generation_id"]
    await laptop.send("resume", generation_id=generation_id, attempt=1, after=0)
    await laptop.until_shown(generation_id, lambda shown: shown.last > 5)
    await laptop.send("ack", generation_id=generation_id, seq=5)

    whole = await phone.hear_out(generation_id)  # the other reader is not kept waiting
    with pytest.raises(TimeoutError):
        while True:
            await laptop.next(patience=0.5)
    stuck_at = laptop.shown[generation_id].last
    assert stuck_at < whole.last

    laptop.acknowledges = True
    await laptop.send("ack", generation_id=generation_id, seq=stuck_at)
    shown = await laptop.hear_out(generation_id)
    assert shown.text == whole.text
    assert laptop.resumes == 0


async def test_a_reader_that_never_acknowledges_again_is_dropped(alice, socket, monkeypatch):
    monkeypatch.setattr(window, "PATIENCE", 0.3)
    monkeypatch.setattr(window, "MOST_EVENTS", 10)
    phone = await socket(alice)
    phone.acknowledges = False
    accepted = await phone.say(MANY, model_id=SCRIPT)
    await phone.until_shown(accepted["generation_id"], lambda shown: shown.last > 3)
    await phone.send("ack", generation_id=accepted["generation_id"], seq=1)
    assert await phone.closed() == 4408


async def test_a_reader_that_does_not_know_acknowledgements_gets_a_bounded_pace(alice, socket, monkeypatch):
    monkeypatch.setattr(window, "MOST_BYTES", 20_000)
    phone = await socket(alice)
    phone.acknowledges = False
    began = asyncio.get_running_loop().time()
    shown = await phone.hear(script({"say": "x" * 4000, "times": 30}), model_id=SCRIPT)
    assert shown.text == "x" * 120_000
    assert asyncio.get_running_loop().time() - began > 1


async def test_what_waits_for_a_slow_reader_is_bounded_and_read_from_the_log(alice, socket, monkeypatch):
    monkeypatch.setattr(listener, "MOST_WAITING", 20)
    phone = await socket(alice)
    accepted = await phone.say(script({"say": "x", "times": 3000}), model_id=SCRIPT)
    shown = await phone.hear_out(accepted["generation_id"])
    assert shown.text == "x" * 3000
    assert phone.resumes == 0


async def test_a_flood_of_frames_closes_the_socket(alice, socket):
    phone = await socket(alice)
    for _ in range(limits.FRAMES[1] + 20):
        await phone.send("ping")
    assert await phone.closed() == 4429


async def test_a_person_may_have_so_many_sockets_and_no_more(alice, socket, knock):
    for _ in range(limits.SOCKETS_PER_PERSON):
        await socket(alice)
    one_more = await knock(f"/ws/chat?token={await in_db(token_of, alice)}")
    assert await one_more.closed() == 4429


async def test_a_socket_follows_so_many_generations_and_no_more(alice, socket, monkeypatch):
    monkeypatch.setattr(limits, "FOLLOWED_PER_SOCKET", 2)
    phone = await socket(alice)
    for _ in range(2):
        await phone.say(script({"wait": 20}), model_id=SCRIPT)
    answer = await phone.ask("message", content=script({"say": "x"}), model_id=SCRIPT)
    assert (answer["type"], answer["data"]["code"]) == ("error", "RATE_LIMITED")
    assert await in_db(Message.objects.filter(role="user").count) == 2


async def test_a_reader_who_resumes_again_and_again_gets_no_more_for_it(alice, socket, monkeypatch):
    monkeypatch.setattr(window, "MOST_BYTES", 20_000)
    phone = await socket(alice)
    phone.acknowledges = False
    accepted = await phone.say(script({"say": "a" * 4000, "times": 100}), model_id=SCRIPT)
    for _ in range(15):
        await phone.send("resume", generation_id=accepted["generation_id"])
        await asyncio.sleep(0.02)
    waiting = phone.line.communicator.output_queue
    assert sum(len(waiting.get_nowait().get("text", "")) for _ in range(waiting.qsize())) < 200_000


async def test_frames_behind_a_close_do_no_harm(alice, socket):
    for _ in range(3):
        phone = await socket(alice)
        for _ in range(8):
            await phone.line.send("{}")
        assert await phone.closed() == 4400
    await (await socket(alice)).ask("ping")
