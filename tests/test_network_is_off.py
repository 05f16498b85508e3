"""No test can reach anything outside this machine, however it tries, and none can do so unnoticed."""

import asyncio
import socket
import urllib.request

import aiohttp
import pytest

from tests.harness import network
from tests.harness.network import NetworkIsOff


@pytest.fixture(autouse=True)
def refusals():
    """What was refused on purpose here is no fault of the test's."""
    yield network.refused
    network.refused.clear()


def test_an_address_outside_is_refused_and_remembered(refusals):
    with pytest.raises(NetworkIsOff, match=r"192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 443), timeout=1)

    assert refusals == ["192.0.2.1"]


async def test_a_name_outside_is_not_even_looked_up(refusals):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(NetworkIsOff):
            await session.get("https://api.openai.com/v1/models")

    assert refusals == ["api.openai.com"]


def test_a_name_that_is_nobodys_does_not_exist_and_is_no_attempt_to_leave(refusals):
    with pytest.raises(OSError, match="does not exist"):
        urllib.request.urlopen("http://vendor.invalid/", timeout=1)

    assert refusals == []


async def test_servers_on_this_machine_can_be_reached(refusals):
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "localhost", 0)
    for host in ("localhost", "127.0.0.1"):
        _, writer = await asyncio.open_connection(host, server.sockets[0].getsockname()[1])
        writer.close()
    server.close()

    assert refusals == []


def test_a_vendor_that_somebody_else_wrote_can_be_started_here(mock_ai_api):
    with urllib.request.urlopen(f"{mock_ai_api}/models", timeout=5) as answer:
        assert answer.status == 200
