"""The people of the tests and the hand that knocks at the HTTP door for them.

Alice owns things, Bob must not see them. `api(alice)` is a client signed in as her, `api()` one of nobody.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.test.client import ClientHandler

from accounts.clients import Origin
from accounts.models import User
from accounts.services import tokens

PASSWORD = "correct horse battery staple"
# What a client says it is, when a test does not say otherwise.
AGENT = "tests/1.0"


@cache
def application() -> ClientHandler:
    """The server, made once: its middleware looks through every static file when it starts."""
    return ClientHandler(enforce_csrf_checks=False)


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the parsed JSON, the headers."""

    status: int
    body: Any
    headers: dict[str, str]
    cookies: SimpleCookie

    @property
    def data(self) -> Any:
        """What a success carries."""
        assert self.body["success"] is True, self.body
        return self.body["data"]

    @property
    def error(self) -> Any:
        """What a failure says."""
        assert self.body["success"] is False, self.body
        return self.body["error"]

    @property
    def code(self) -> str:
        """The name of what went wrong."""
        return str(self.error["code"])


class Api:
    """A client of the REST API, with or without an access token. Every method takes a path and a JSON body."""

    def __init__(self, *, token: str | None = None, refresh_token: str | None = None, **environ: str) -> None:
        """`environ` is what the server is told of every request, `REMOTE_ADDR` or `HTTP_…`."""
        self.token = token
        self.refresh_token = refresh_token
        self.environ = {"HTTP_USER_AGENT": AGENT} | environ

    def get(self, path: str, **environ: str) -> Answer:
        return self.call("GET", path, **environ)

    def post(self, path: str, body: Any = None, **environ: str) -> Answer:
        return self.call("POST", path, body, **environ)

    def put(self, path: str, body: Any = None, **environ: str) -> Answer:
        return self.call("PUT", path, body, **environ)

    def patch(self, path: str, body: Any = None, **environ: str) -> Answer:
        return self.call("PATCH", path, body, **environ)

    def delete(self, path: str, body: Any = None, **environ: str) -> Answer:
        return self.call("DELETE", path, body, **environ)

    def call(self, method: str, path: str, body: Any = None, **environ: str) -> Answer:
        """One request. A `bytes` body goes as it is, anything else but None as JSON."""
        if self.token is not None:
            environ = {"HTTP_AUTHORIZATION": f"Bearer {self.token}"} | environ
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        # A client for each request: nothing is carried from one to the next but what we carry ourselves.
        client = Client(raise_request_exception=False)
        client.handler = application()
        told: dict[str, Any] = self.environ | environ
        answer = client.generic(method, path, raw, content_type="application/json", **told)
        is_json = answer.content and answer.headers.get("Content-Type", "").startswith("application/json")
        return Answer(
            status=answer.status_code,
            body=answer.json() if is_json else answer.content.decode(),
            headers=dict(answer.headers),
            cookies=answer.cookies,
        )


@pytest.fixture(scope="session")
def password_hash() -> str:
    """The hash of everybody's password, made once: it takes a tenth of a second."""
    return make_password(PASSWORD)


@pytest.fixture
def alice(db: None, password_hash: str) -> User:
    return User.objects.create(email="alice@example.com", nickname="Alice", password=password_hash)


@pytest.fixture
def bob(db: None, password_hash: str) -> User:
    return User.objects.create(email="bob@example.com", nickname="Bob", password=password_hash)


@pytest.fixture
def api(db: None) -> Callable[..., Api]:
    """`api(alice)`: a client signed in as Alice on a new device. `api()`: a client of nobody."""

    def client(user: User | None = None, **environ: str) -> Api:
        if user is None:
            return Api(**environ)
        pair = tokens.issue(user=user, origin=Origin(ip="127.0.0.1", user_agent=AGENT), device_name="test")
        return Api(token=pair.access_token, refresh_token=pair.refresh_token, **environ)

    return client
