"""Operators see whose keys there are and in what state; they delete and check them, and read none of them."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from accounts.models import AuditEntry, User
from chatplatform.kernel.secret import Secret
from keyvault.models import ProviderKey
from keyvault.services import add_key

LIST = "/admin/keyvault/providerkey/"
SECRET = "sk-" + "alices-own-key-0001"

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@example.com"))
    return client


@pytest.fixture
def key(alice: User, settings: Settings, httpserver: HTTPServer) -> ProviderKey:
    settings.VENDOR_ADDRESSES = {"openai": httpserver.url_for("/v1")}
    return add_key(
        user=alice, vendor="openai", api_key=Secret(SECRET), base_url=httpserver.url_for("/v1"), label="work"
    )


def page(client: Client, path: str, **form: Any) -> str:
    answer = client.post(path, form, follow=True) if form else client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_pages_show_hint_owner_and_state_and_nothing_of_the_envelope(operator: Client, key: ProviderKey) -> None:
    for html in (page(operator, LIST), page(operator, f"{LIST}{key.pk}/change/")):
        for shown in ("openai", "work", "sk-...0001", "alice@example.com", "not checked yet"):
            assert shown in html
        for hidden in (SECRET, key.fingerprint, key.fingerprint.partition(":")[2], key.ciphertext.hex(), "wrapped_dek"):
            assert hidden not in html


def test_nothing_can_be_added_or_changed(operator: Client, key: ProviderKey) -> None:
    before = ProviderKey.objects.values().get()

    assert operator.get(f"{LIST}add/").status_code == 403
    form = {"vendor": "evil", "hint": "evil", "base_url": "https://evil.example", "user": "", "is_valid": ""}
    assert operator.post(f"{LIST}{key.pk}/change/", form).status_code == 403
    assert ProviderKey.objects.values().get() == before


def test_staff_without_the_right_see_nothing(key: ProviderKey) -> None:
    client = Client()
    client.force_login(User.objects.create_user("helper@example.com", is_staff=True))

    assert client.get(LIST).status_code == 403
    assert client.post(LIST, {"action": "validate", "_selected_action": str(key.pk)}).status_code == 403


@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_deleted_key_stands_in_its_owners_trail(operator: Client, key: ProviderKey, one_by_one: bool) -> None:
    if one_by_one:
        page(operator, f"{LIST}{key.pk}/delete/", post="yes")
    else:
        page(operator, LIST, action="delete_selected", _selected_action=str(key.pk), post="yes")

    assert not ProviderKey.objects.exists()
    row = AuditEntry.objects.get(action="key:deleted")
    assert (row.user_id, row.resource_id, row.ip_address) == (key.user_id, key.pk, None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("status", "verdict"), [(200, "valid"), (401, "invalid"), (500, "unknown")])
def test_keys_are_checked_with_their_vendor(
    operator: Client, key: ProviderKey, httpserver: HTTPServer, status: int, verdict: str
) -> None:
    httpserver.expect_request("/v1/models", headers={"Authorization": f"Bearer {SECRET}"}).respond_with_json(
        {"object": "list", "data": []}, status=status
    )

    html = page(operator, LIST, action="validate", _selected_action=str(key.pk))

    assert f"openai work sk-...0001: {verdict}" in html
    assert AuditEntry.objects.get(action="key:validated").details == {"vendor": "openai", "outcome": verdict}
    assert verdict in LogEntry.objects.get().change_message
    key.refresh_from_db()
    assert key.is_valid == (verdict != "invalid")


@pytest.mark.django_db(transaction=True)
def test_the_verdict_is_in_the_operators_language(operator: Client, key: ProviderKey, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/models").respond_with_json({"object": "list", "data": []}, status=500)
    operator.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN"

    assert "openai work sk-...0001: 未知" in page(operator, LIST, action="validate", _selected_action=str(key.pk))
    assert "unknown" in LogEntry.objects.get().change_message


@pytest.mark.django_db(transaction=True)
def test_a_key_that_does_not_open_is_said_to(operator: Client, key: ProviderKey) -> None:
    ProviderKey.objects.update(kek_id="gone")

    html = page(operator, LIST, action="validate", _selected_action=str(key.pk))

    assert "This stored key cannot be opened any more." in html
