"""The operators' windows: people are made, suspended and restored; the trail is read."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import AuditAction, AuditEntry, Device, User
from tests.cast import PASSWORD, application

pytestmark = pytest.mark.django_db

PEOPLE = "/admin/accounts/user/"
TRAIL = "/admin/accounts/auditentry/"


@pytest.fixture
def operator(password_hash):
    return User.objects.create(email="op@example.com", password=password_hash, is_staff=True, is_superuser=True)


@pytest.fixture
def helper(password_hash):
    """Somebody who may look after people and nothing more."""
    helper = User.objects.create(email="helper@example.com", password=password_hash, is_staff=True)
    helper.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "add_user", "change_user"]))
    return helper


@pytest.fixture
def desk():
    """The admin, as one of the operators sees it."""

    def desk(user):
        client = Client()
        client.handler = application()
        client.force_login(user, backend="accounts.authentication.PasswordBackend")
        return client

    return desk


def act(client, action, *people):
    chosen = {"action": action, "_selected_action": [str(person.pk) for person in people]}
    return client.post(PEOPLE, chosen, follow=True)


def trail(*actions):
    rows = AuditEntry.objects.filter(action__in=actions).order_by("created_at")
    return [(row.action, row.user_id, row.details.get("by")) for row in rows]


def test_entering_is_recorded_and_people_without_the_right_stay_outside(operator, alice):
    for name, password, status in (
        (operator.email, PASSWORD, 302),
        (alice.email, PASSWORD, 200),
        (alice.email, "", 200),
    ):
        form = {"username": name, "password": password}
        assert Client().post("/admin/login/?next=/admin/", form).status_code == status

    assert trail(AuditAction.LOGIN_SUCCEEDED) == [(AuditAction.LOGIN_SUCCEEDED, operator.pk, None)]


def test_a_suspended_person_is_out_at_once_and_a_restored_one_signs_in_anew(desk, operator, alice, api):
    phone = api(alice)

    assert "1 suspended." in act(desk(operator), "suspend_people", alice).content.decode()
    assert phone.get("/api/v1/users/me").status == 401
    login = {"email": alice.email, "password": PASSWORD}
    assert api().post("/api/v1/auth/login", login).code == "BAD_CREDENTIALS"

    assert "1 restored." in act(desk(operator), "restore_people", alice).content.decode()
    assert phone.get("/api/v1/users/me").status == 401
    assert api().post("/api/v1/auth/login", login).status == 200

    assert trail(AuditAction.USER_SUSPENDED, AuditAction.USER_RESTORED) == [
        (AuditAction.USER_SUSPENDED, alice.pk, str(operator.pk)),
        (AuditAction.USER_RESTORED, alice.pk, str(operator.pk)),
    ]


def test_a_suspended_operator_is_out_of_the_admin_too(desk, operator, helper):
    window = desk(helper)
    assert window.get(PEOPLE).status_code == 200

    act(desk(operator), "suspend_people", helper, operator)

    assert window.get(PEOPLE).status_code == 302
    operator.refresh_from_db()
    assert operator.status == User.Status.ACTIVE, "nobody suspends themselves"


def test_a_new_account_made_by_an_operator(desk, operator, api):
    form = {
        "email": "Erin@example.com",
        "nickname": "Erin",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    assert desk(operator).get(f"{PEOPLE}add/").status_code == 200
    assert desk(operator).post(f"{PEOPLE}add/", form).status_code == 302

    assert api().post("/api/v1/auth/login", {"email": "erin@example.com", "password": PASSWORD}).status == 200
    repeated = desk(operator).post(f"{PEOPLE}add/", form)
    assert repeated.status_code == 200, "the form again, not an error page"


def test_a_new_password_signs_out_whoever_used_the_old_one(desk, operator, alice, api):
    phone, new = api(alice), "quite another staple"
    address = f"{PEOPLE}{alice.pk}/password/"
    form = {"usable_password": "true", "password1": new, "password2": new}

    assert desk(operator).get(address).status_code == 200
    assert desk(operator).post(address, form | {"set-password": "1"}).status_code == 302

    assert phone.get("/api/v1/users/me").status == 401
    assert api().post("/api/v1/auth/login", {"email": alice.email, "password": new}).status == 200
    assert trail(AuditAction.PASSWORD_SET) == [(AuditAction.PASSWORD_SET, alice.pk, str(operator.pk))]


def test_devices_are_shown_with_a_person_and_cannot_be_touched(desk, operator, alice, api):
    api(alice)
    device = Device.objects.get(user=alice)
    page = desk(operator).get(f"{PEOPLE}{alice.pk}/change/").content.decode()

    assert device.user_agent in page
    assert device.current_hash not in page
    assert "devices-0-DELETE" not in page


def test_nobody_is_deleted_here(desk, operator, alice):
    assert desk(operator).post(f"{PEOPLE}{alice.pk}/delete/", {"post": "yes"}).status_code == 403
    act(desk(operator), "delete_selected", alice)
    assert User.objects.filter(pk=alice.pk).exists()


def test_whoever_looks_after_people_gives_no_rights_away(desk, helper, operator, alice):
    window = desk(helper)
    for person in (alice, helper):
        form = {"email": person.email, "nickname": "New", "is_staff": "on", "is_superuser": "on"}
        form |= {"devices-TOTAL_FORMS": "0", "devices-INITIAL_FORMS": "0"}
        assert window.post(f"{PEOPLE}{person.pk}/change/", form).status_code == 302
        person.refresh_from_db()
        assert (person.nickname, person.is_superuser) == ("New", False)
    assert not alice.is_staff

    assert window.post(f"{PEOPLE}{operator.pk}/change/", {"email": "x@example.com"}).status_code == 403
    password = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD, "set-password": "1"}
    assert window.post(f"{PEOPLE}{operator.pk}/password/", password).status_code == 403
    act(window, "suspend_people", operator)
    operator.refresh_from_db()
    assert operator.status == User.Status.ACTIVE


def test_the_trail_is_read_and_never_written(desk, operator, alice, api):
    api(alice).put("/api/v1/users/me", {"nickname": "Lis"})
    entry = AuditEntry.objects.get(action=AuditAction.PROFILE_CHANGED)
    before = list(AuditEntry.objects.filter(user_id=alice.pk).values())
    window = desk(operator)

    assert "Profile changed" in window.get(TRAIL).content.decode()
    for search in (str(alice.pk), "127.0.0.1", "nothing like this"):
        assert window.get(TRAIL, {"q": search}).status_code == 200
    assert str(entry.pk) in window.get(TRAIL, {"q": str(alice.pk)}).content.decode()
    assert window.get(f"{TRAIL}{entry.pk}/change/").status_code == 200
    assert window.get(f"{TRAIL}add/").status_code == 403
    assert window.post(f"{TRAIL}{entry.pk}/change/", {"action": "x"}).status_code == 403
    assert window.post(f"{TRAIL}{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    assert list(AuditEntry.objects.filter(user_id=alice.pk).values()) == before


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_windows_open_in_both_languages(desk, operator, alice, language):
    window = desk(operator)
    for address in ("/admin/", PEOPLE, f"{PEOPLE}?q=alice", f"{PEOPLE}?status__exact=active", TRAIL):
        page = window.get(address, HTTP_ACCEPT_LANGUAGE=language)
        assert page.status_code == 200
    assert ("审计记录" in page.content.decode()) == (language == "zh-hans")
