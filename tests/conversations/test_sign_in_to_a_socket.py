"""Every way to sign a socket in, and every way in which it fails."""

import pytest
from django.test import override_settings

from chatplatform.kernel.db import in_db
from conversations.realtime import consumer, sockets
from tests.conversations.conftest import token_of
from tests.phone import BRIEF

pytestmark = pytest.mark.django_db(transaction=True)


async def test_by_token_in_the_address(alice, knock):
    phone = await knock(f"/ws/chat?token={await in_db(token_of, alice)}")
    ready = await phone.next()
    assert ready["type"] == "ready"
    assert ready["data"]["user_id"] == str(alice.pk)
    assert (ready["data"]["protocol"], ready["data"]["running"]) == (1, [])


async def test_by_header(alice, knock):
    token = await in_db(token_of, alice)
    phone = await knock(headers=[(b"authorization", f"Bearer {token}".encode())])
    assert (await phone.next())["type"] == "ready"


async def test_by_subprotocol(alice, knock):
    token = await in_db(token_of, alice)
    phone = await knock(subprotocols=["bearer", token])
    assert phone.line.subprotocol == "bearer"
    assert (await phone.next())["type"] == "ready"


async def test_by_first_frame(alice, knock):
    phone = await knock()
    answer = await phone.ask("auth", token=await in_db(token_of, alice))
    assert answer["type"] == "ready"


async def test_by_ticket_and_only_once(alice, knock, api):
    ticket = (await in_db(lambda: api(alice).post("/api/v1/auth/ws-ticket"))).data["ticket"]
    phone = await knock(f"/ws/chat?ticket={ticket}")
    assert (await phone.next())["type"] == "ready"

    again = await knock(f"/ws/chat?ticket={ticket}")
    assert (await again.next())["data"]["code"] == "UNAUTHENTICATED"
    assert await again.closed() == 4401


async def test_a_cookie_signs_nobody_in(alice, knock, client):
    await in_db(client.force_login, alice)
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    phone = await knock(headers=[(b"cookie", cookie.encode())])
    assert (await phone.ask("message", content="hi"))["data"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("token", ["x", "a.b.c", "null", "%00"])
async def test_a_wrong_token_is_told_and_closed(knock, token):
    phone = await knock(f"/ws/chat?token={token}")
    assert (await phone.next())["data"]["code"] == "UNAUTHENTICATED"
    assert await phone.closed() == 4401


async def test_nothing_is_answered_before_signing_in_but_a_ping(knock):
    phone = await knock()
    assert (await phone.ask("ping"))["type"] == "pong"
    for kind, data in (("message", {"content": "hi"}), ("resume", {"session_id": "0" * 32})):
        answer = await phone.ask(kind, **data)
        assert (answer["type"], answer["data"]["code"]) == ("error", "UNAUTHENTICATED")


async def test_a_socket_that_does_not_sign_in_is_closed(knock, monkeypatch):
    monkeypatch.setattr(consumer, "SIGN_IN_WITHIN", 0.2)
    phone = await knock()
    assert await phone.closed() == 4401


async def test_another_person_cannot_take_over_a_socket(alice, bob, socket):
    phone = await socket(alice)
    answer = await phone.ask("auth", token=await in_db(token_of, bob))
    assert answer["data"]["code"] == "FORBIDDEN"


async def test_a_fresh_token_keeps_the_socket(alice, knock, settings):
    from datetime import timedelta

    settings.ACCESS_TOKEN_LIFETIME = timedelta(seconds=1)
    phone = await knock(f"/ws/chat?token={await in_db(token_of, alice)}")
    await phone.until("auth_expired")
    assert (await phone.ask("message", content="hi"))["data"]["code"] == "TOKEN_EXPIRED"

    settings.ACCESS_TOKEN_LIFETIME = timedelta(minutes=5)
    answer = await phone.ask("auth", token=await in_db(token_of, alice))
    assert answer["type"] == "ready"
    await phone.hear(**BRIEF)


async def test_a_device_that_is_signed_out_loses_its_sockets(alice, knock, api, monkeypatch):
    monkeypatch.setattr(sockets, "LOOK_EVERY", 0.1)
    client = await in_db(api, alice)
    phone = await knock(f"/ws/chat?token={client.token}")
    await phone.next()
    await in_db(client.post, "/api/v1/auth/logout")
    assert await phone.closed() == 4401


async def test_a_silent_socket_is_dropped(alice, socket, monkeypatch):
    monkeypatch.setattr(sockets, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(sockets, "SILENCE", 0.5)
    phone = await socket(alice)
    assert await phone.closed() == 1001


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        ("http://localhost:8000", True),
        ("https://127.0.0.1", True),
        ("https://servicewechat.com", True),
        ("https://chat.example.org", True),
        ("https://evil.example", False),
        ("https://localhost.evil.example", False),
        ("http://localhost@evil.example", False),
        ("https://evil.example/localhost", False),
        ("null", False),
        ("file://", False),
        ("http://[::1", False),
        ("https://servicewechat.com.evil.example", False),
        ("", False),
    ],
)
async def test_only_known_pages_may_open_a_socket(alice, knock, origin, welcome):
    with override_settings(ALLOWED_ORIGINS=["https://chat.example.org"]):
        token = await in_db(token_of, alice)
        phone = await knock(f"/ws/chat?token={token}", headers=[(b"origin", origin.encode())])
        if welcome:
            assert (await phone.next())["type"] == "ready"
        else:
            assert await phone.closed() == 4403
