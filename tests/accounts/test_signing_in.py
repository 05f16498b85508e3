"""The story of an account: made, signed in to, kept signed in, signed out of."""

from datetime import datetime

import pytest
from django.contrib.auth.hashers import make_password

from accounts.models import Device, User
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db

CAROL = {"email": "Carol@Example.com", "password": PASSWORD, "nickname": "卡罗尔"}


def test_from_registration_to_signing_out(api):
    registered = api().post("/api/v1/auth/register", CAROL)
    assert registered.status == 201
    assert {**registered.data, "user": None, "access_token": None, "refresh_token": None} == {
        "user": None,
        "access_token": None,
        "refresh_token": None,
        "token_type": "Bearer",
        "expires_in": 900,
    }
    carol = registered.data["user"]
    assert carol == {
        "id": carol["id"],
        "email": "carol@example.com",
        "nickname": "卡罗尔",
        "avatar_url": "",
        "status": "active",
        "created_at": carol["created_at"],
        "last_login_at": carol["last_login_at"],
    }
    assert datetime.fromisoformat(carol["last_login_at"]).tzinfo is not None

    login = api().post("/api/v1/auth/login", {"email": " CAROL@example.com ", "password": PASSWORD})
    assert login.status == 200
    assert login.data["user"] | {"last_login_at": None} == carol | {"last_login_at": None}
    client = api()
    client.token = login.data["access_token"]
    assert client.get("/api/v1/users/me").data == login.data["user"]

    refreshed = api().post("/api/v1/auth/refresh", {"refresh_token": login.data["refresh_token"]})
    assert refreshed.status == 200
    assert refreshed.data["user"]["id"] == carol["id"]
    assert refreshed.data["refresh_token"] != login.data["refresh_token"]
    client.token = refreshed.data["access_token"]
    assert client.get("/api/v1/users/me").status == 200

    assert client.post("/api/v1/auth/logout").data == {"signed_out": True}
    assert client.get("/api/v1/users/me").code == "UNAUTHENTICATED"
    again = api().post("/api/v1/auth/refresh", {"refresh_token": refreshed.data["refresh_token"]})
    assert (again.status, again.code) == (401, "UNAUTHENTICATED")
    # The device that registered is another one, and still signed in.
    client.token = registered.data["access_token"]
    assert client.get("/api/v1/users/me").status == 200


def test_a_device_is_remembered_by_its_name_and_where_it_was(api, alice):
    body = {"email": alice.email, "password": PASSWORD, "device_name": "Alice's phone"}
    assert api(REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="phone/1").post("/api/v1/auth/login", body).status == 200

    device = Device.objects.get(user=alice)
    assert (device.name, device.ip, device.user_agent) == ("Alice's phone", "192.0.2.7", "phone/1")


def test_signing_out_with_the_refresh_token_when_the_access_token_has_expired(api, alice):
    phone = api(alice)
    stale = api(HTTP_AUTHORIZATION="Bearer expired")

    answer = stale.post("/api/v1/auth/logout", {"refresh_token": phone.refresh_token})

    assert answer.data == {"signed_out": True}
    assert phone.get("/api/v1/users/me").status == 401
    assert stale.post("/api/v1/auth/logout", {"refresh_token": phone.refresh_token}).data == {"signed_out": False}


@pytest.mark.parametrize("body", [None, {}, {"refresh_token": "nonsense"}])
def test_signing_out_needs_to_know_whom(api, body):
    answer = api().post("/api/v1/auth/logout", body)
    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")


def test_signing_out_one_device_leaves_the_others(api, alice):
    phone, laptop = api(alice), api(alice)

    phone.post("/api/v1/auth/logout")

    assert phone.get("/api/v1/users/me").status == 401
    assert laptop.get("/api/v1/users/me").status == 200


def test_an_address_is_taken_whatever_its_capitals(api, alice):
    answer = api().post("/api/v1/auth/register", {"email": "ALICE@example.COM", "password": PASSWORD})
    assert (answer.status, answer.code) == (409, "EMAIL_TAKEN")
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("password", "language", "problem"),
    [
        ("short", "en", "The password is too short. It needs at least 8 characters."),
        ("short", "zh-hans", "密码太短，至少需要 8 个字符。"),
        ("password123", "en", "This password is too common."),
        ("9482716350", "en", "This password is entirely numeric."),
        ("carol@example.com", "en", "The password is too similar to the e-mail address."),
    ],
)
def test_a_weak_password_is_refused_with_its_reason(api, password, language, problem):
    answer = api(HTTP_ACCEPT_LANGUAGE=language).post("/api/v1/auth/register", CAROL | {"password": password})
    assert (answer.status, answer.code) == (400, "VALIDATION_FAILED")
    assert problem in answer.error["details"]["password"]
    assert not User.objects.exists()


def test_blanks_belong_to_a_password(api):
    spaced = "  correct horse  "
    assert api().post("/api/v1/auth/register", CAROL | {"password": spaced}).status == 201
    login = {"email": CAROL["email"], "password": spaced}
    assert api().post("/api/v1/auth/login", login).status == 200
    assert api().post("/api/v1/auth/login", login | {"password": spaced.strip()}).status == 401


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("register", CAROL | {"is_staff": True}, "is_staff"),
        ("register", CAROL | {"status": "active"}, "status"),
        ("register", CAROL | {"self": 1}, "self"),
        ("register", CAROL | {"message": "x"}, "message"),
        ("register", CAROL | {"retry_after": "x"}, "retry_after"),
        ("register", CAROL | {"nickname": "a\x00b"}, "nickname"),
        ("register", CAROL | {"nickname": "x" * 101}, "nickname"),
        ("register", CAROL | {"nickname": None}, "nickname"),
        ("register", CAROL | {"email": "nobody"}, "email"),
        ("register", CAROL | {"email": "a\x00@example.com"}, "email"),
        ("register", CAROL | {"password": "correct\x00horse"}, "password"),
        ("register", {"email": "carol@example.com"}, "password"),
        ("login", {"email": "a", "password": "b", "otp": "1"}, "otp"),
        ("login", {"email": "a\x00", "password": "b"}, "email"),
        ("login", {"email": "a", "password": "b\x00"}, "password"),
        ("login", {"email": ["a"], "password": "b"}, "email"),
        ("refresh", {"refresh_token": "a\x00"}, "refresh_token"),
        ("refresh", {"refresh_token": "x" * 201}, "refresh_token"),
        ("refresh", {}, "refresh_token"),
        ("logout", {"everywhere": True}, "everywhere"),
    ],
)
def test_a_field_that_is_unknown_or_wrong_is_named(api, path, body, field):
    answer = api().post(f"/api/v1/auth/{path}", body)
    assert (answer.status, answer.code) == (400, "VALIDATION_FAILED")
    assert list(answer.error["details"]) == [field]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff",
        b'{"email": NaN}',
        b'{"email": "\\ud800"}',
        b'{"\\udfff": 1}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
@pytest.mark.parametrize("path", ["register", "login", "refresh"])
def test_a_body_that_cannot_be_read_is_the_callers_mistake(api, path, body):
    answer = api().post(f"/api/v1/auth/{path}", body)
    assert answer.status == 400
    assert answer.body["success"] is False


def test_a_person_without_a_password_cannot_sign_in_with_one(api):
    User.objects.create_user(email="dora@example.com")
    User.objects.create_user()  # and one without an address either
    User.objects.create_user()

    for password in ("", " ", "!", PASSWORD):
        answer = api().post("/api/v1/auth/login", {"email": "dora@example.com", "password": password})
        assert answer.status in (400, 401)


def test_a_body_that_is_too_large_is_not_read(api):
    answer = api().post("/api/v1/auth/login", b"[" + b" " * 1024 * 1024)
    assert (answer.status, answer.code, answer.error["details"]) == (413, "TOO_LARGE", {"limit": 1024 * 1024})


def test_a_password_hashed_in_an_older_way_opens_and_is_hashed_anew(api, alice):
    alice.password = make_password(PASSWORD, hasher="pbkdf2_sha256")
    alice.save()

    assert api().post("/api/v1/auth/login", {"email": alice.email, "password": PASSWORD}).status == 200
    alice.refresh_from_db()
    assert alice.password.startswith("argon2$argon2id$")
