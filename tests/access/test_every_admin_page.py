"""Who sees which page of the admin: nobody but operators, and operators no page that does not stand here.

Whatever is registered with the admin is asked for its pages; what may be added, changed and deleted is a table.
"""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.access.routes import all_routes
from tests.access.world import APPS, MARKER, SECRET, World

pytestmark = pytest.mark.django_db

# What an operator who may do everything can do with the rows of each model, besides looking.
MAY: dict[str, set[str]] = {
    "accounts.User": {"add", "change"},
    "accounts.AuditEntry": set(),
    "auth.Group": {"add", "change", "delete"},
    "keyvault.ProviderKey": {"delete"},
    "providers.AIModel": {"add", "change"},
    "providers.UsageRecord": set(),
    "providers.VendorSetting": {"add", "change", "delete"},
    "conversations.Conversation": set(),
    "conversations.Message": set(),
    "conversations.Generation": set(),
}
LOGIN, LOGOUT = "/admin/login/", "/admin/logout/"


def address(model: str, page: str, *args: object) -> str:
    return reverse(f"admin:{model.replace('.', '_').lower()}_{page}", args=args)


def one_of(model: str) -> object:
    """The id of a row of this model, made if there is none."""
    found = apps.get_model(model)
    row = found._default_manager.first()
    if row is None:
        row = found._default_manager.create(**({"slug": "x"} if model == "providers.VendorSetting" else {"name": "x"}))
    return row.pk


def test_every_model_of_the_admin_stands_in_the_table() -> None:
    assert {model._meta.label for model in admin.site._registry} == set(MAY)


@pytest.mark.parametrize("model", MAY)
def test_an_operator_sees_lists_and_rows_and_changes_what_the_table_says(
    world: World, operator: User, browser: Callable[..., Client], model: str
) -> None:
    desk, row = browser(operator), one_of(model)
    may = MAY[model]

    for page in (address(model, "changelist"), address(model, "change", row), address(model, "history", row)):
        assert desk.get(page).status_code == 200, page
    assert desk.get(f"{address(model, 'changelist')}?q={MARKER}").status_code == 200
    assert desk.get(address(model, "add")).status_code == (200 if "add" in may else 403)
    assert desk.get(address(model, "delete", row)).status_code == (200 if "delete" in may else 403)
    form = b"_save" in desk.get(address(model, "change", row)).content
    assert form == ("change" in may)


@pytest.mark.parametrize("model", MAY)
def test_nothing_is_posted_without_our_own_forms_token(
    world: World, operator: User, browser: Callable[..., Client], model: str
) -> None:
    desk, row = browser(operator), one_of(model)
    before = world.rows()

    for page in ("changelist", "add", "change", "delete"):
        args = () if page in ("changelist", "add") else (row,)
        assert desk.post(address(model, page, *args), {"post": "yes"}).status_code == 403
    assert world.rows() == before


def admin_pages(world: World) -> list[str]:
    """Every address of the admin, with the ids of rows that are there."""
    pages = []
    for route in all_routes():
        if not route.is_admin or route.pattern == LOGIN:
            continue
        if "^" in route.pattern or "(?P" in route.pattern:
            pages += [f"/admin/{app}/" for app in APPS] + ["/admin/nothing/here/"]
            continue
        label = next((model for model in MAY if model.replace(".", "/").lower() in route.pattern), None)
        row = one_of(label) if label else 1
        pages.append(route.path(dict.fromkeys(route.parameters, row)))
    return pages


def test_nobody_else_sees_any_page(world: World, bob: User, browser: Callable[..., Client]) -> None:
    pages = admin_pages(world)
    before = world.rows()

    for client in (browser(), browser(bob)):
        for page in pages:
            answer = client.get(page)
            to = "/admin/" if page == LOGOUT else LOGIN
            assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, to), page
            # Without the token nothing is looked at; with it, what follows is the form to sign in.
            assert client.post(page).status_code in (302, 403), page
            assert world.leaked(answer.content.decode()) == []
    assert world.rows() == before


def test_the_form_to_sign_in_says_nothing(world: World, bob: User, browser: Callable[..., Client]) -> None:
    for client in (browser(), browser(bob)):
        answer = client.get(LOGIN)
        assert answer.status_code == 200
        assert world.leaked(answer.content.decode()) == []


def test_an_operator_without_rights_enters_and_sees_nothing(
    world: World, password_hash: str, browser: Callable[..., Client]
) -> None:
    desk = browser(User.objects.create(email="new@example.com", password=password_hash, is_staff=True))

    assert desk.get("/admin/").status_code == 200
    for model in MAY:
        row = one_of(model)
        for page, args in (
            ("changelist", ()),
            ("add", ()),
            ("change", (row,)),
            ("delete", (row,)),
            ("history", (row,)),
        ):
            assert desk.get(address(model, page, *args)).status_code == 403, (model, page)
    for page in admin_pages(world):
        assert world.leaked(desk.get(page).content.decode()) == [], page


@pytest.mark.parametrize("model", MAY)
def test_the_right_to_look_is_no_right_to_change(
    world: World, password_hash: str, browser: Callable[..., Client], model: str
) -> None:
    helper = User.objects.create(email="helper@example.com", password=password_hash, is_staff=True)
    app, _, name = model.lower().partition(".")
    helper.user_permissions.set(Permission.objects.filter(content_type__app_label=app, codename=f"view_{name}"))
    desk, row = browser(helper), one_of(model)

    assert desk.get(address(model, "changelist")).status_code == 200
    page = desk.get(address(model, "change", row))
    assert (page.status_code, b"_save" in page.content) == (200, False)
    assert desk.get(address(model, "add")).status_code == 403
    assert desk.get(address(model, "delete", row)).status_code == 403
    for other in set(MAY) - {model}:
        assert desk.get(address(other, "changelist")).status_code == 403


def test_secrets_are_on_no_page(world: World, operator: User, browser: Callable[..., Client]) -> None:
    desk = browser(operator)
    sealed = [bytes(part).hex() for part in (world.key.ciphertext, world.key.wrapped_dek)]
    hidden = [SECRET, world.key.fingerprint, *sealed, world.device.current_hash, world.alice.password]

    for page in admin_pages(world):
        html = desk.get(page).content.decode()
        assert [secret for secret in hidden if secret in html] == [], page
