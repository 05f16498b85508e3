"""Marked keys go through every door, and the marks are looked for wherever something is written down or shown."""

import ast
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.views.debug import ExceptionReporter
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from accounts.models import User
from chatplatform.kernel.secret import Secret
from keyvault import crypto, services
from keyvault.models import ProviderKey
from tests.cast import Answer, Api

ROOT = Path(__file__).resolve().parents[2]
APPS = ("chatplatform", "accounts", "keyvault", "providers", "conversations", "miniprogram")


class Canaries:
    """Keys that can be recognised by any eight characters from their middle."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def make(self) -> str:
        self.keys.append(f"sk-{secrets.token_hex(20)}")
        return self.keys[-1]

    def found_in(self, text: str) -> list[str]:
        return [key for key in self.keys if any(key[at : at + 8] in text for at in (5, 13, 21, 29))]


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything logged, at every level, with its arguments and tracebacks."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx2", "httpcore2", "openai", "asyncio", "django.request", "django.db.backends", "aiohttp"):
        caplog.set_level(logging.DEBUG, logger=name)
    return lambda: caplog.text + "".join(repr(vars(record)) for record in caplog.records)


def dump() -> str:
    """Every value of every table."""
    lines: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  (names of our own tables)
            for value in (value for row in cursor.fetchall() for value in row):
                raw = isinstance(value, bytes | memoryview)
                lines.append(bytes(value).decode("latin-1") + bytes(value).hex() if raw else str(value))
    return "\n".join(lines)


def seen(answer: Answer) -> str:
    return f"{answer.body!r} {answer.headers!r}"


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.django_db(transaction=True)
def test_fifty_keys_leave_no_trace(
    api: Callable[..., Api],
    canaries: Canaries,
    written: Callable[[], str],
    httpserver: HTTPServer,
    settings: Settings,
) -> None:
    shown_to_vendor: list[str] = []

    def vendor(request: Request) -> Response:
        """Repeats the key in its refusal, as some do."""
        key = request.headers["Authorization"].removeprefix("Bearer ")
        shown_to_vendor.append(key)
        status = (200, 401, 402, 429, 500)[len(shown_to_vendor) % 5]
        body = f'{{"error": {{"message": "Incorrect API key provided: {key}", "code": "{key}"}}, "data": []}}'
        return Response(body, status=status, content_type="application/json")

    httpserver.expect_request("/v1/models").respond_with_handler(vendor)
    settings.VENDOR_ADDRESSES = {"openai": httpserver.url_for("/v1")}
    answers: list[Answer] = []
    stored: list[str] = []

    for person in range(10):
        user = User.objects.create_user(f"person{person}@example.com")
        client = api(user)
        for label in "abcde":
            body = {"provider": "openai", "api_key": canaries.make(), "label": label}
            answers.append(client.post("/api/v1/keys", body))
            answers.append(client.post("/api/v1/keys", body))  # refused: it is there
            path = f"/api/v1/keys/{answers[-2].data['id']}"
            if label in "abc":
                answers.append(client.put(path, {"api_key": canaries.make()}))
            stored.append(canaries.keys[-1])
            answers.append(client.put(path, {"api_key": f" {canaries.make()}"}))  # refused: no key
            answers.append(client.put(path, {"api_key": canaries.make(), "label": "x"}))  # refused: no such field
            answers.append(client.get(path))
            answers.append(client.post(f"{path}/validate"))
            answers.append(client.call("POST", "/api/v1/keys", f'{{"api_key": "{canaries.make()}'.encode()))
        answers.append(client.get("/api/v1/keys"))
        answers.append(client.delete(path))

    assert shown_to_vendor == stored
    assert {answer.status for answer in answers} == {200, 201, 400, 409}
    operator = Client()
    operator.force_login(User.objects.create_superuser("operator@example.com"))
    chosen = [str(pk) for pk in ProviderKey.objects.values_list("pk", flat=True)]
    assert len(chosen) == 40
    pages = [operator.get("/admin/keyvault/providerkey/")]
    pages += [
        operator.get(f"/admin/keyvault/providerkey/{pk}/{page}/")
        for pk in chosen[::8]
        for page in ("change", "history")
    ]
    pages += [operator.get("/admin/accounts/auditentry/"), operator.get("/admin/")]
    for action in ("validate", "delete_selected"):
        form = {"action": action, "_selected_action": chosen}
        pages.append(operator.post("/admin/keyvault/providerkey/", form, follow=True))
    assert {page.status_code for page in pages} == {200}

    places = {
        "answers": "".join(map(seen, answers)),
        "admin": "".join(page.content.decode() for page in pages),
        "database": dump(),
        "fixtures": serializers.serialize("json", ProviderKey.objects.all()),
        "logs": written(),
        "rows": repr(list(ProviderKey.objects.values())) + "".join(map(repr, ProviderKey.objects.all())),
    }
    assert {place: canaries.found_in(text) for place, text in places.items()} == {place: [] for place in places}


@pytest.mark.django_db
@pytest.mark.parametrize("broken", [None, SimpleNamespace(primary="k1"), SimpleNamespace(primary="k1", subkey=None)])
def test_a_failure_in_the_middle_shows_no_key(
    api: Callable[..., Api],
    alice: User,
    canaries: Canaries,
    written: Callable[[], str],
    settings: Settings,
    broken: object,
) -> None:
    client = api(alice)
    settings.KEYRING = broken

    answer = client.post("/api/v1/keys", {"provider": "openai", "api_key": canaries.make()})

    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert canaries.found_in(seen(answer) + written()) == []


@pytest.mark.django_db
def test_an_error_report_with_local_variables_shows_no_key(alice: User, canaries: Canaries, settings: Settings) -> None:
    address = "https://api.openai.com/v1"

    def add(secret: Secret, label: str = "") -> ProviderKey:
        return services.add_key(user=alice, vendor="openai", api_key=secret, base_url=address, label=label)

    key = add(Secret(canaries.make()))
    binding, sealed = key.binding, key.sealed
    settings.KEYRING = None
    secret = Secret(canaries.make())
    attempts: list[Callable[[], object]] = [
        lambda: add(secret, "another"),
        lambda: services.replace_key(key=key, api_key=secret, base_url=address),
        lambda: services.open_for(user_id=alice.pk, vendor="openai"),
        lambda: crypto.seal(secret, binding),
        lambda: crypto.unseal(sealed, binding),
        lambda: crypto.fingerprint("openai", secret),
    ]
    for attempt in attempts:
        with pytest.raises(AttributeError) as failure:
            attempt()
        # What a crash reporter would send: every frame with the values of its variables.
        report = ExceptionReporter(None, failure.type, failure.value, failure.tb)
        assert canaries.found_in(report.get_traceback_html() + report.get_traceback_text()) == []


def modules() -> dict[str, ast.Module]:
    found = (path for app in APPS for path in (ROOT / app).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in found}


def users_of(name: str) -> set[str]:
    """The modules that speak of `name`, whether they call, import or pass it on."""
    return {
        path
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if name in {getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "name", None)}
    }


def test_stored_keys_are_opened_in_one_place() -> None:
    assert users_of("unseal") == {"keyvault/crypto.py", "keyvault/services.py"}
    assert users_of("open_for") == {"keyvault/services.py", "providers/catalogue.py", "providers/probe.py"}
    assert users_of("AESGCM") == {"keyvault/crypto.py"}


def test_secrets_are_revealed_where_they_are_used_and_nowhere_else() -> None:
    assert users_of("reveal") == {
        "chatplatform/kernel/secret.py",
        "chatplatform/settings.py",  # SECRET_KEY and the master keys
        "keyvault/crypto.py",
        "keyvault/services.py",  # is it a key at all, and how does it end?
        "providers/adapters/openai.py",  # the request's header
    }


def test_no_command_prints_keys(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("diffsettings", all=True)

    shown = capsys.readouterr().out
    assert "KEYRING = Keyring(primary=" in shown
    assert "keys=" not in shown
