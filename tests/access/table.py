"""The table: who is answered what by every route of the server, and with which body they ask."""

from dataclasses import dataclass
from typing import Any

import pytest

from accounts.clients import Origin
from accounts.models import User
from accounts.services import tokens
from tests.access.routes import by_pattern
from tests.access.world import ANONYMOUS, CAROL, OPERATOR, OTHER, OWNER, World
from tests.cast import PASSWORD, Answer, Api

MISSING, SIGN_IN = "404 NOT_FOUND", "401 UNAUTHENTICATED"


@dataclass(frozen=True)
class Line:
    """What each role is answered, and the body they send. A function makes a body of the world and the role."""

    anonymous: str
    other: str
    operator: str
    owner: str
    body: Any = None

    @property
    def expected(self) -> dict[str, str]:
        return {ANONYMOUS: self.anonymous, OTHER: self.other, OPERATOR: self.operator, OWNER: self.owner}

    @property
    def public(self) -> bool:
        """Whether one need not be signed in."""
        return self.anonymous != SIGN_IN

    def body_for(self, world: World, role: str) -> Any:
        return self.body(world, role) if callable(self.body) else self.body


def everybody(answer: str = "200", body: Any = None) -> Line:
    """Nobody has to be signed in."""
    return Line(answer, answer, answer, answer, body)


def own(answer: str = "200", body: Any = None) -> Line:
    """Everybody who is signed in, with what is their own."""
    return Line(SIGN_IN, answer, answer, answer, body)


def owners(answer: str = "200", body: Any = None, *, missing: str = MISSING) -> Line:
    """Something of one person's."""
    return Line(SIGN_IN, missing, missing, answer, body)


def carols_password(world: World, role: str) -> dict[str, str]:
    return {"email": CAROL, "password": PASSWORD}


def carols_refresh_token(world: World, role: str) -> dict[str, str]:
    pair = tokens.issue(user=User.objects.get(email=CAROL), origin=Origin(), device_name="phone")
    return {"refresh_token": pair.refresh_token}


def newcomer(world: World, role: str) -> dict[str, str]:
    return {"email": f"new-{role}@example.com", "password": PASSWORD}


NEW_KEY = {"provider": "deepseek", "api_key": "sk-" + "a-new-key-of-mine-0042", "label": "mine"}
OTHER_SECRET = {"api_key": "sk-" + "another-key-0043"}

SCHEMA, DOCS = "/api/v1/schema", "/api/v1/docs"

REST: dict[tuple[str, str], Line] = {
    ("POST", "/api/v1/auth/register"): everybody("201", newcomer),
    ("POST", "/api/v1/auth/login"): everybody(body=carols_password),
    ("POST", "/api/v1/auth/refresh"): everybody(body=carols_refresh_token),
    ("POST", "/api/v1/auth/logout"): own(),
    ("POST", "/api/v1/auth/ws-ticket"): own(),
    ("GET", "/api/v1/users/me"): own(),
    ("PUT", "/api/v1/users/me"): own(body={"nickname": "Me"}),
    ("GET", "/api/v1/models"): own(),
    ("GET", "/api/v1/models/providers"): own(),
    # A model that answers to the owner's key alone.
    ("GET", "/api/v1/models/<uuid:model_id>"): owners(missing="404 MODEL_NOT_FOUND"),
    ("GET", "/api/v1/keys"): own(),
    ("POST", "/api/v1/keys"): own("201", NEW_KEY),
    ("GET", "/api/v1/keys/<uuid:key_id>"): owners(),
    ("PUT", "/api/v1/keys/<uuid:key_id>"): owners(body=OTHER_SECRET),
    ("DELETE", "/api/v1/keys/<uuid:key_id>"): owners(),
    ("POST", "/api/v1/keys/<uuid:key_id>/validate"): owners(),
    ("GET", "/api/v1/sessions"): own(),
    ("POST", "/api/v1/sessions"): own("201", {"title": "Mine"}),
    ("GET", "/api/v1/sessions/<uuid:session_id>"): owners(),
    ("PUT", "/api/v1/sessions/<uuid:session_id>"): owners(body={"title": "Renamed"}),
    ("DELETE", "/api/v1/sessions/<uuid:session_id>"): owners(),
    ("GET", "/api/v1/messages/session/<uuid:session_id>"): owners(),
    ("GET", "/api/v1/messages/<uuid:message_id>"): owners(),
    ("GET", SCHEMA): everybody(),
    ("GET", DOCS): everybody(),
}

# What is no view of the REST framework and so knows nothing of its permissions.
PAGES: dict[tuple[str, str], Line] = {
    ("GET", "/"): everybody(),
    ("GET", "/health"): everybody(),
    ("GET", "/health/ready"): everybody(),
    # The browsable API's own forms: the first one comes back with its errors in it, the second one ends a session.
    ("GET", "/api/v1/auth/browse/login/"): everybody(),
    ("POST", "/api/v1/auth/browse/login/"): everybody(),
    ("PUT", "/api/v1/auth/browse/login/"): everybody(),
    ("POST", "/api/v1/auth/browse/logout/"): everybody(),
}

TABLE = REST | PAGES
NOT_REST = {pattern for _, pattern in PAGES}


def ask(client: Api, world: World, role: str, method: str, pattern: str) -> Answer:
    """One cell of the table."""
    return client.call(method, by_pattern()[pattern].path(world.ids), TABLE[method, pattern].body_for(world, role))


def marks_of(cell: tuple[str, str]) -> list[pytest.MarkDecorator]:
    """Whoever asks a vendor opens the key in another thread, which sees only what is committed."""
    return [pytest.mark.django_db(transaction=True)] if cell[1].endswith("/validate") else []
