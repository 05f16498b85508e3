"""Sockets into the application in this process, for people who are signed in or not."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.core.management import call_command

from accounts.clients import Origin
from accounts.models import User
from accounts.services import tokens
from chatplatform.asgi import application
from chatplatform.kernel.db import in_db
from tests.phone import InsideLine, Phone


def token_of(user: User) -> str:
    """A fresh access token on a new device."""
    return tokens.issue(user=user, origin=Origin(ip="127.0.0.1"), device_name="phone").access_token


@pytest.fixture
def catalogue(transactional_db: None) -> None:
    """The models of a fresh checkout: the built-in ones."""
    call_command("sync_models", verbosity=0)


@pytest.fixture
async def knock(catalogue: None) -> AsyncIterator[Callable[..., Any]]:
    """`await knock("/ws/chat?…", headers=…, subprotocols=…)`: a phone on an accepted socket."""
    open_lines: list[InsideLine] = []

    async def knock(path: str = "/ws/chat", **options: Any) -> Phone:
        communicator = WebsocketCommunicator(application, path, **options)
        connected, agreed = await communicator.connect(timeout=5)
        assert connected
        line = InsideLine(communicator)
        line.subprotocol = agreed  # type: ignore[attr-defined]
        open_lines.append(line)
        return Phone(line)

    yield knock
    for line in open_lines:
        await line.close()


@pytest.fixture
async def socket(knock: Callable[..., Any]) -> Callable[..., Any]:
    """`await socket(alice)`: her phone, signed in and ready."""

    async def socket(user: User) -> Phone:
        token = await in_db(token_of, user)
        phone: Phone = await knock(f"/ws/chat?token={token}")
        assert (await phone.next())["type"] == "ready"
        return phone

    return socket
