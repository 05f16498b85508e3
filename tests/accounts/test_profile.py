"""`/api/v1/users/me`: people change what they say of themselves, and nothing else."""

import pytest

from accounts.models import AuditAction, AuditEntry, User

pytestmark = pytest.mark.django_db

ME = "/api/v1/users/me"


def test_a_nickname_and_a_picture(api, alice, bob):
    picture = "https://example.com/alice.png?size=64"
    phone = api(alice)

    answer = phone.put(ME, {"nickname": "爱丽丝 🐇", "avatar_url": picture})

    assert answer.status == 200
    assert (answer.data["nickname"], answer.data["avatar_url"]) == ("爱丽丝 🐇", picture)
    assert phone.get(ME).data == answer.data
    assert api(bob).get(ME).data["nickname"] == "Bob"


def test_what_is_left_out_stays_and_what_is_empty_goes(api, alice):
    phone = api(alice)
    phone.put(ME, {"avatar_url": "https://example.com/a.png"})
    phone.put(ME, {"nickname": "A"})
    assert phone.get(ME).data["avatar_url"] == "https://example.com/a.png"

    phone.put(ME, {"avatar_url": "", "nickname": ""})
    assert (phone.get(ME).data["avatar_url"], phone.get(ME).data["nickname"]) == ("", "")


def test_only_a_real_change_is_recorded(api, alice):
    phone = api(alice)
    for body in ({}, {"nickname": "Alice"}, {"nickname": "Lis"}, {"nickname": "Lis"}):
        assert phone.put(ME, body).status == 200

    entries = AuditEntry.objects.filter(action=AuditAction.PROFILE_CHANGED)
    assert [(entry.user_id, entry.details) for entry in entries] == [(alice.pk, {"fields": ["nickname"]})]


@pytest.mark.parametrize(
    "address",
    [
        "ftp://example.com/a.png",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "//example.com/a.png",
        "example.com/a.png",
        "file:///etc/passwd",
        "https://",
        "https://exa mple.com/",
        "https://example.com/\x00",
        f"https://example.com/{'x' * 500}",
    ],
)
def test_a_picture_is_on_the_web(api, alice, address):
    answer = api(alice).put(ME, {"avatar_url": address})
    assert (answer.status, answer.code) == (400, "VALIDATION_FAILED")
    assert list(answer.error["details"]) == ["avatar_url"]


@pytest.mark.parametrize("field", [field.attname for field in User._meta.concrete_fields] + ["groups", "pk"])
def test_no_other_field_can_be_smuggled_in(api, alice, field):
    before = User.objects.values().get(pk=alice.pk)
    answer = api(alice).put(ME, {"nickname": "Mallory", field: True})

    assert answer.status == (200 if field == "nickname" else 400) or field in ("nickname", "avatar_url")
    after = User.objects.values().get(pk=alice.pk)
    assert after | {"nickname": "", "updated_at": ""} == before | {"nickname": "", "updated_at": ""}


def test_nothing_but_reading_and_putting(api, alice):
    for method in ("POST", "PATCH", "DELETE"):
        answer = api(alice).call(method, ME, {})
        assert (answer.status, answer.code) == (405, "METHOD_NOT_ALLOWED")
