"""The audit trail: every act has its line, no line can be changed, and none holds a secret."""

import uuid

import pytest

from accounts import audit
from accounts.models import AuditAction, AuditEntry
from tests.cast import PASSWORD, Api

pytestmark = pytest.mark.django_db


def test_a_story_leaves_its_lines_and_no_secret(api):
    visitor = Api(REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="phone/1")
    carol = {"email": "carol@example.com", "password": PASSWORD}
    registered = visitor.post("/api/v1/auth/register", carol).data
    visitor.post("/api/v1/auth/login", carol | {"password": "my other password"})
    visitor.post("/api/v1/auth/login", {"email": PASSWORD, "password": PASSWORD})
    login = visitor.post("/api/v1/auth/login", carol).data
    refreshed = visitor.post("/api/v1/auth/refresh", {"refresh_token": login["refresh_token"]}).data
    phone = Api(token=refreshed["access_token"], REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="phone/1")
    ticket = phone.post("/api/v1/auth/ws-ticket").data["ticket"]
    phone.put("/api/v1/users/me", {"nickname": "Carol"})
    phone.post("/api/v1/auth/logout")

    entries = list(AuditEntry.objects.order_by("created_at"))
    me = uuid.UUID(registered["user"]["id"])
    assert [(entry.action, entry.user_id) for entry in entries] == [
        (AuditAction.REGISTERED, me),
        (AuditAction.LOGIN_FAILED, me),
        (AuditAction.LOGIN_FAILED, None),
        (AuditAction.LOGIN_SUCCEEDED, me),
        (AuditAction.PROFILE_CHANGED, me),
        (AuditAction.LOGGED_OUT, me),
    ]
    assert {(entry.ip_address, entry.user_agent) for entry in entries} == {("192.0.2.7", "phone/1")}

    kept = " ".join(str(value) for row in AuditEntry.objects.values_list() for value in row)
    secrets = [PASSWORD, "my other password", ticket]
    secrets += [answer[name] for answer in (registered, login, refreshed) for name in ("access_token", "refresh_token")]
    assert [secret for secret in secrets if secret in kept] == []


def test_a_line_outlives_its_person(alice):
    audit.key_deleted(alice, uuid.uuid4(), "deepseek")
    name = alice.pk
    alice.delete()

    entry = AuditEntry.objects.get()
    assert (entry.user_id, entry.resource_type, entry.details) == (name, "key", {"vendor": "deepseek"})


def test_no_line_is_changed_or_removed(alice):
    audit.model_switched(alice, uuid.uuid4(), "openai/gpt-4o")
    entry = AuditEntry.objects.get()

    entry.details = {}
    for tampering in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(details={}),
        lambda: AuditEntry.objects.filter(pk=entry.pk).update(action=AuditAction.REGISTERED),
        lambda: AuditEntry.objects.bulk_update([entry], ["details"]),
    ):
        with pytest.raises(TypeError):
            tampering()

    assert AuditEntry.objects.get().details == {"model": "openai/gpt-4o"}
