"""What a foreign page can do in somebody's browser: nothing. And no spelling of an address leads past the sign-in."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from rest_framework.authentication import SessionAuthentication

from tests.access.routes import by_pattern
from tests.access.table import REST, SIGN_IN, TABLE, marks_of
from tests.access.world import OWNER, World, told
from tests.cast import Api

pytestmark = pytest.mark.django_db

WRITES = [cell for cell, line in REST.items() if cell[0] != "GET" and line.anonymous == SIGN_IN]
EVIL = "https://evil.example"


def takes_cookies(pattern: str) -> bool:
    return SessionAuthentication in by_pattern()[pattern].view_class.authentication_classes


def send(client: Client, world: World, cell: tuple[str, str], **headers: Any) -> Any:
    path, body = by_pattern()[cell[1]].path(world.ids), TABLE[cell].body_for(world, OWNER)
    return client.generic(
        cell[0], path, b"" if body is None else json.dumps(body).encode(), "application/json", **headers
    )


def csrf_token(client: Client) -> str:
    client.get("/api/v1/auth/browse/login/")
    return client.cookies["csrftoken"].value


@pytest.mark.parametrize("cell", [pytest.param(cell, id=" ".join(cell), marks=marks_of(cell)) for cell in WRITES])
def test_a_cookie_alone_changes_nothing(world: World, browser: Callable[..., Client], cell: tuple[str, str]) -> None:
    """With the token that only our own pages can read it does, where cookies sign anybody in at all."""
    client = browser(world.alice)
    before = world.rows()

    for headers in ({}, {"HTTP_ORIGIN": EVIL}, {"HTTP_X_CSRFTOKEN": "x" * 32}):
        answer = send(client, world, cell, **headers)
        expected = (403, "FORBIDDEN") if takes_cookies(cell[1]) else (401, "UNAUTHENTICATED")
        assert (answer.status_code, answer.json()["error"]["code"]) == expected
    assert world.rows() == before

    answer = send(client, world, cell, HTTP_X_CSRFTOKEN=csrf_token(client))
    assert str(answer.status_code) == (TABLE[cell].owner if takes_cookies(cell[1]) else "401")


def test_a_token_of_ours_does_not_help_a_foreign_page(world: World, browser: Callable[..., Client]) -> None:
    client = browser(world.alice)
    before = world.rows()

    answer = send(client, world, ("PUT", "/api/v1/users/me"), HTTP_X_CSRFTOKEN=csrf_token(client), HTTP_ORIGIN=EVIL)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert world.rows() == before


def test_a_bearer_needs_no_token(world: World, browser: Callable[..., Client], api: Callable[..., Api]) -> None:
    answer = send(browser(), world, ("PUT", "/api/v1/users/me"), HTTP_AUTHORIZATION=f"Bearer {api(world.alice).token}")

    assert answer.status_code == 200


def test_forms_ask_for_the_token_as_well(world: World, browser: Callable[..., Client]) -> None:
    form = {"username": "alice@example.com", "password": "correct horse battery staple"}

    for path in ("/api/v1/auth/browse/login/", "/admin/login/"):
        assert browser().post(path, form).status_code == 403
    assert browser(world.alice).post("/api/v1/auth/browse/logout/").status_code == 403


def test_session_cookies_are_for_this_site_and_no_script(world: World, browser: Callable[..., Client]) -> None:
    client = browser()
    form = {"username": "alice@example.com", "password": "correct horse battery staple"}

    client.post("/api/v1/auth/browse/login/?next=/health", form | {"csrfmiddlewaretoken": csrf_token(client)})

    cookie = client.cookies["sessionid"]
    assert (cookie["samesite"], cookie["httponly"], cookie["domain"]) == ("Lax", True, "")


# --- other origins ------------------------------------------------------------

FRIEND = "https://friend.example"
ORIGINS = (
    EVIL,
    "null",
    "https://testserver.evil.example",
    "https://friend.example.evil.example",
    "http://friend.example",
)


def sharing(method: str, path: str, origin: str, **headers: str) -> dict[str, str]:
    """What an answer says of who may read it."""
    answer = Api().call(method, path, HTTP_ORIGIN=origin, **headers)
    found = {name.lower(): value for name, value in answer.headers.items()}
    return {name: value for name, value in found.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("path", ["/api/v1/users/me", "/api/v1/sessions", "/api/v1/auth/login", "/api/v1/nothing"])
def test_only_origins_that_were_named_may_read_the_api(settings: Settings, path: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = [FRIEND]

    for method, more in (("GET", {}), ("OPTIONS", {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"})):
        for origin in ORIGINS:
            assert sharing(method, path, origin, **more) == {}, origin
        granted = sharing(method, path, FRIEND, **more)
        assert granted["access-control-allow-origin"] == FRIEND
        assert "access-control-allow-credentials" not in granted


@pytest.mark.parametrize("path", ["/", "/health", "/admin/", "/admin/login/"])
def test_nothing_but_the_api_is_for_other_origins(settings: Settings, path: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = [FRIEND]

    assert sharing("GET", path, FRIEND) == {}


# --- addresses and hosts ------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "testserver.evil.example", "testserver@evil.example", "[::1", "a b", "", "evil.example:80"]
)
def test_a_host_that_is_not_ours_is_refused(host: str) -> None:
    for path in ("/", "/api/v1/users/me", "/api/v1/schema", "/admin/login/", "/health"):
        answer = Api().get(path, HTTP_HOST=host)
        assert told(answer) == "400 BAD_REQUEST", path
        assert "evil" not in str(answer)


def test_a_host_in_another_header_is_not_believed(world: World) -> None:
    named = {
        "HTTP_X_FORWARDED_HOST": "evil.example",
        "HTTP_X_HOST": "evil.example",
        "HTTP_FORWARDED": "host=evil.example",
    }

    for path in ("/", "/admin/", "/api/v1/schema", "/api/v1/docs"):
        assert "evil" not in str(Api().get(path, **named))


MISSPELT = [
    "/api/v1//sessions",
    "/api/v1/sessions/",
    "/api/v1/sessions//",
    "/API/v1/sessions",
    "/api/v1/Sessions",
    "/api/v1/sessions;x",
    "/api/v1/sessions.json",
    "/api/v1/sessions%00",
    "/api/v1/sessions%2f",
    "/api/v1/sessions%20",
    "/api/v1/schema/../sessions",
    "/api/v1/schema/%2e%2e/sessions",
    "/api/v1/schema;/../sessions",
    "/api/v1/users/me/",
    "/api/v1/nothing/here",
    "/api/v1/",
    "/api/v1",
    "/api",
    "/admin",
    "/health/",
    "//api/v1/sessions",
]


@pytest.mark.parametrize("path", MISSPELT)
def test_an_address_that_is_not_spelt_as_ours_leads_nowhere(world: World, api: Callable[..., Api], path: str) -> None:
    for client in (api(), api(world.alice)):
        for method in ("GET", "POST", "DELETE"):
            answer = client.call(method, path, {} if method == "POST" else None)
            assert told(answer) == "404 NOT_FOUND"
            assert answer.headers["Content-Type"] == "application/json"


NO_IDS = ("1", "nope", "..", "%00", "0" * 32, "7B1C1C9E-0000-4000-8000-00000000000A", "-1 OR 1=1", "x" * 5000)


@pytest.mark.parametrize("pattern", sorted({pattern for _, pattern in REST if "<" in pattern}))
def test_what_is_no_id_leads_nowhere(world: World, api: Callable[..., Api], pattern: str) -> None:
    client = api(world.alice)

    for value in NO_IDS:
        path = by_pattern()[pattern].path(dict.fromkeys(world.ids, value))
        assert told(client.get(path)) == "404 NOT_FOUND", value


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_X_ORIGINAL_URL": "/api/v1/schema"},
        {"HTTP_X_REWRITE_URL": "/api/v1/schema"},
        {"HTTP_X_HTTP_METHOD_OVERRIDE": "OPTIONS"},
        {"HTTP_X_METHOD_OVERRIDE": "OPTIONS"},
        {"HTTP_X_FORWARDED_USER": "alice@example.com"},
        {"HTTP_REMOTE_USER": "alice@example.com", "REMOTE_USER": "alice@example.com"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"SCRIPT_NAME": "/api/v1/schema"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_no_header_stands_in_for_a_sign_in(world: World, headers: dict[str, str]) -> None:
    for path in ("/api/v1/sessions", f"/api/v1/sessions/{world.conversation.pk}"):
        for suffix in ("", "?_method=OPTIONS", "?format=json", "?format=api"):
            answer = Api().get(path + suffix, **headers)
            assert answer.status in (401, 404)
            assert world.leaked(str(answer.body).replace(str(world.conversation.pk), "")) == []
