"""Alice's world, and a browser for the people in it."""

from collections.abc import Callable
from functools import cache

import pytest
from django.test import Client
from django.test.client import ClientHandler
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from accounts.models import User
from tests.access import world as worlds
from tests.access.world import ROLES, World
from tests.cast import Api
from tests.conversations.conftest import catalogue, knock, socket

__all__ = ["catalogue", "knock", "socket"]

VENDOR = "deepseek"


@pytest.fixture
def operator(db: None, password_hash: str) -> User:
    """Staff who may do everything in the admin."""
    return User.objects.create(
        email="operator@example.com", nickname="Operator", password=password_hash, is_staff=True, is_superuser=True
    )


@pytest.fixture
def world(
    alice: User, bob: User, operator: User, password_hash: str, settings: Settings, httpserver: HTTPServer
) -> World:
    """Alice has one of everything; the vendor of her key says that it is good."""
    address = httpserver.url_for("/v1")
    settings.VENDOR_KEYS, settings.VENDOR_ADDRESSES, settings.DEFAULT_MODEL = {}, {VENDOR: address}, ""
    httpserver.expect_request("/v1/models").respond_with_json({"data": []})
    User.objects.create(email=worlds.CAROL, password=password_hash)
    return worlds.build(alice=alice, bob=bob, operator=operator, vendor=VENDOR, address=address)


@pytest.fixture
def client_of(world: World, api: Callable[..., Api]) -> Callable[[str], Api]:
    """`client_of("other")`: a client signed in as whoever has that role."""
    clients = {role: api(world.people.get(role)) for role in ROLES}
    return clients.__getitem__


@cache
def _handler() -> ClientHandler:
    return ClientHandler(enforce_csrf_checks=True)


@pytest.fixture
def browser() -> Callable[..., Client]:
    """`browser(bob)`: carries a session cookie, as after signing in to the admin. It is asked for CSRF tokens."""

    def browser(user: User | None = None) -> Client:
        client = Client(raise_request_exception=False)
        client.handler = _handler()
        if user is not None:
            client.force_login(user, backend="accounts.authentication.PasswordBackend")
        return client

    return browser
