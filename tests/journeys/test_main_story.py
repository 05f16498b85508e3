"""The story of the first minute, on a real server and over a real socket, under both servers."""

import hashlib
import signal

import pytest

from tests.phone import BRIEF, SCRIPT, script
from tests.server import cluster


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def worker(request):
    with cluster(1, request.param) as made:
        yield made.workers[0]


async def test_register_sign_in_send_and_read_the_reply_as_it_is_written(worker):
    person = worker.register()
    signed = worker.call(
        "POST",
        "/api/v1/auth/login",
        {"email": person["user"]["email"], "password": "correct horse battery staple"},
    )["data"]
    phone = await worker.phone(signed)

    shown = await phone.hear(script({"say": "Hello "}, {"wait": 0.1}, {"say": "世界 🌏"}), model_id=SCRIPT)

    kinds = [frame["type"] for frame in phone.frames]
    assert kinds[:3] == ["ready", "accepted", "typing"]
    assert kinds[-1] == "done"
    stored = worker.call("GET", f"/api/v1/messages/{shown.done['message_id']}", token=signed["access_token"])["data"]
    assert stored["content"] == shown.text == "Hello 世界 🌏"
    assert hashlib.sha256(stored["content"].encode()).hexdigest() == shown.done["sha256"]
    history = worker.call("GET", f"/api/v1/messages/session/{stored['session_id']}", token=signed["access_token"])
    assert [message["role"] for message in history["data"]] == ["user", "assistant"]
    await phone.hang_up()


async def test_an_oversized_frame_closes_the_socket_and_not_the_server(worker):
    phone = await worker.phone(worker.register())
    await phone.line.send("x" * 100_000)
    assert (await phone.next())["data"]["code"] == "TOO_LARGE"
    await phone.line.send("x" * 400_000)
    assert await phone.closed() in (1009, None)

    other = await worker.phone(worker.register())
    await other.hear(**BRIEF)
    await other.hang_up()


async def test_the_socket_is_never_compressed(worker):
    phone = await worker.phone(worker.register())
    assert "Sec-WebSocket-Extensions" not in phone.line.connection.response.headers
    await phone.hang_up()


async def test_no_token_is_in_the_log(worker):
    person = worker.register()
    phone = await worker.phone(person)
    await phone.hear(**BRIEF)
    await phone.hang_up()
    worker.call("GET", f"/api/v1/sessions?token={person['access_token']}")
    log = worker.log.read_text()
    assert person["access_token"] not in log
    assert person["refresh_token"] not in log


def test_the_server_ends_when_it_is_told_to(worker):
    assert worker.end() in (0, -signal.SIGTERM)
