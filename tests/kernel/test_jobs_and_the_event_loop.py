"""What a job thread has to say reaches people's sockets at once: jobs post to the server's event loop."""

import asyncio
import logging
import threading
import time

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from huey.contrib.djhuey import HUEY

from chatplatform.kernel import tasks

ROOM = "room.for-a-test"


class Listening(AsyncJsonWebsocketConsumer):
    """A socket that waits for news."""

    groups = [ROOM]

    async def news(self, message):
        await self.send_json({"said_at": message["said_at"]})


@HUEY.task()
def say_something():
    tasks.post(get_channel_layer().group_send, ROOM, {"type": "news", "said_at": time.monotonic()})


@pytest.fixture
def jobs():
    """Job threads inside this process, as `make run` has them."""
    consumer = tasks.consume_inside()
    yield consumer
    consumer.stop(graceful=True)


@pytest.mark.django_db(transaction=True)
async def test_what_a_job_says_reaches_a_waiting_socket_at_once(jobs):
    tasks.attach(asyncio.get_running_loop())
    socket = WebsocketCommunicator(Listening.as_asgi(), "/")
    assert (await socket.connect())[0]

    await asyncio.to_thread(say_something)
    said_at = (await socket.receive_json_from(timeout=15))["said_at"]

    assert time.monotonic() - said_at < 0.5
    await socket.disconnect()


def test_a_process_without_a_server_can_post_too():
    done = threading.Event()

    tasks.post(done.set)

    assert done.wait(2)


async def test_posting_returns_at_once_and_what_fails_there_is_logged(caplog):
    async def fail():
        raise RuntimeError("nobody is waiting for this")

    tasks.attach(asyncio.get_running_loop())
    with caplog.at_level(logging.ERROR):
        await asyncio.to_thread(tasks.post, fail)
        await asyncio.sleep(0.05)

    assert [record.message for record in caplog.records] == ["background task failed"]
    assert caplog.records[0].task.startswith("posted test_posting_returns_at_once")
