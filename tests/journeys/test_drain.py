"""A process that is told to end sends its clients away, lets replies come to their end, and only then goes."""

import asyncio
import signal
import time

import pytest

from tests.phone import SCRIPT, script
from tests.server import cluster

SERVERS = ["uvicorn", "daphne"]
THREE_SECONDS = script({"say": "tick ", "times": 60, "every": 0.05})
ENDLESS = script({"say": "on ", "times": 5000, "every": 0.02})


@pytest.mark.parametrize("server", SERVERS)
async def test_a_reply_comes_to_its_end_before_the_process_does(server):
    with cluster(1, server) as made:
        worker = made.workers[0]
        person = worker.register()
        phone = await worker.phone(person)
        accepted = await phone.say(THREE_SECONDS, model_id=SCRIPT)
        await phone.until_shown(accepted["generation_id"], lambda shown: len(shown.text) > 20)

        worker.process.send_signal(signal.SIGTERM)
        told = await phone.until("reconnect")
        assert 0 <= told["after_ms"] < 5000
        assert await phone.closed() == 1012
        assert worker.call("GET", "/health/ready")["status"] == "draining"
        assert await asyncio.to_thread(worker.process.wait, 20) in (0, -signal.SIGTERM)

        after = made.start(server)
        back = await after.phone(person)
        await back.send("resume", generation_id=accepted["generation_id"], attempt=1, after=1)
        shown = await back.hear_out(accepted["generation_id"])
        assert (shown.done["status"], shown.text) == ("completed", "tick " * 60)
        await back.hang_up()


@pytest.mark.parametrize("server", SERVERS)
async def test_a_reply_that_does_not_end_in_time_is_kept_as_it_is(server):
    with cluster(1, server, DRAIN_SECONDS="1") as made:
        worker = made.workers[0]
        person = worker.register()
        phone = await worker.phone(person)
        accepted = await phone.say(ENDLESS, model_id=SCRIPT)
        seen = (await phone.until_shown(accepted["generation_id"], lambda shown: len(shown.text) > 20)).text

        worker.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        await asyncio.to_thread(worker.process.wait, 20)
        assert time.monotonic() - began < 15

        after = made.start(server)
        back = await after.phone(person)
        await back.send("resume", generation_id=accepted["generation_id"], attempt=1, after=1)
        shown = await back.hear_out(accepted["generation_id"])
        assert shown.done["status"] == "interrupted"
        assert shown.done["error"]["code"] == "WORKER_LOST"
        assert shown.text.startswith(seen)
        await back.hang_up()


async def test_a_new_turn_is_refused_and_a_new_socket_sent_away_while_draining():
    with cluster(1) as made:
        worker = made.workers[0]
        person = worker.register()
        phone = await worker.phone(person)
        accepted = await phone.say(THREE_SECONDS, model_id=SCRIPT)
        await phone.until_shown(accepted["generation_id"], lambda shown: len(shown.text) > 20)
        worker.process.send_signal(signal.SIGTERM)
        await phone.until("reconnect")

        late = await worker.socket(f"?token={person['access_token']}")
        assert (await late.next())["type"] == "reconnect"
        assert await late.closed() == 1012


async def test_a_second_signal_does_not_wait():
    with cluster(1) as made:
        worker = made.workers[0]
        phone = await worker.phone(worker.register())
        await phone.say(ENDLESS, model_id=SCRIPT)
        worker.process.send_signal(signal.SIGTERM)
        await phone.until("reconnect")
        worker.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(worker.process.wait, 10)


@pytest.mark.workers
async def test_a_rolling_restart_loses_no_accepted_send():
    with cluster(2) as made:
        person = made.workers[0].register()
        accepted = []
        for worker in list(made.workers):
            phone = await worker.phone(person)
            accepted.append(await phone.say(THREE_SECONDS, model_id=SCRIPT))
            worker.process.send_signal(signal.SIGTERM)
            await phone.until("reconnect")
            made.start()
        back = await made.workers[-1].phone(person)
        for one in accepted:
            await back.send("resume", generation_id=one["generation_id"], attempt=1, after=1)
            shown = await back.hear_out(one["generation_id"])
            assert (shown.done["status"], shown.text) == ("completed", "tick " * 60)
        await back.hang_up()
