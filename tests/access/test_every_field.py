"""A request changes what its route takes and nothing else: every other field of every model is refused by name."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps

from tests.access.routes import by_pattern, described, fields_taken
from tests.access.table import TABLE, marks_of
from tests.access.world import APPS, OWNER, World, told
from tests.cast import Api

pytestmark = pytest.mark.django_db

# What each route takes. Whoever lets a route take more says so here.
TAKES: dict[tuple[str, str], set[str]] = {
    ("POST", "/api/v1/auth/register"): {"email", "password", "nickname"},
    ("POST", "/api/v1/auth/login"): {"email", "password", "device_name"},
    ("POST", "/api/v1/auth/refresh"): {"refresh_token"},
    ("POST", "/api/v1/auth/logout"): {"refresh_token"},
    ("POST", "/api/v1/auth/ws-ticket"): set(),
    ("PUT", "/api/v1/users/me"): {"nickname", "avatar_url"},
    ("POST", "/api/v1/keys"): {"provider", "api_key", "label", "base_url"},
    ("PUT", "/api/v1/keys/<uuid:key_id>"): {"api_key", "base_url"},
    ("DELETE", "/api/v1/keys/<uuid:key_id>"): set(),
    ("POST", "/api/v1/keys/<uuid:key_id>/validate"): set(),
    ("POST", "/api/v1/sessions"): {"title", "model_id"},
    ("PUT", "/api/v1/sessions/<uuid:session_id>"): {"title"},
    ("DELETE", "/api/v1/sessions/<uuid:session_id>"): set(),
}
WITH_A_BODY = sorted(cell for cell, taken in TAKES.items() if taken)
WITHOUT_A_BODY = [
    pytest.param(cell, id=" ".join(cell), marks=marks_of(cell)) for cell, taken in TAKES.items() if not taken
]
SMUGGLED = "smuggled"


def every_field() -> set[str]:
    """The names of all fields of all our models, as Python, the database and the wire call them."""
    models = [model for app in APPS for model in apps.get_app_config(app).get_models()]
    fields = [field for model in models for field in model._meta.get_fields()]
    called = {
        name for field in fields for name in (field.name, getattr(field, "attname", ""), getattr(field, "column", ""))
    }
    tried_elsewhere = {"session_id", "encrypted_key", "quota", "role", "owner", "is_admin", "share_code", "__class__"}
    return {name for name in called | tried_elsewhere if name}


def smuggled(cell: tuple[str, str]) -> dict[str, Any]:
    return dict.fromkeys(sorted(every_field() - TAKES[cell]), SMUGGLED)


def test_every_writing_route_is_described_as_taking_what_it_takes() -> None:
    found = {cell: set(fields_taken(operation)) for cell, operation in described().items() if cell[0] != "GET"}

    assert found == TAKES


def test_the_fields_of_our_models_are_among_what_is_tried() -> None:
    assert every_field() >= {"user", "user_id", "is_staff", "is_superuser", "status", "id", "origin", "ciphertext"}


@pytest.mark.parametrize("cell", WITH_A_BODY, ids=" ".join)
def test_a_field_that_is_not_taken_is_refused_by_name(
    world: World, client_of: Callable[[str], Api], cell: tuple[str, str]
) -> None:
    method, path = cell[0], by_pattern()[cell[1]].path(world.ids)
    given, others = TABLE[cell].body_for(world, OWNER) or {}, smuggled(cell)
    before, client = world.rows(), client_of(OWNER)

    answer = client.call(method, path, given | others)

    assert (answer.status, answer.code) == (400, "VALIDATION_FAILED")
    assert set(answer.error["details"]) == set(others)
    assert world.rows() == before
    # It was the others: without them the same body is taken.
    assert told(client.call(method, path, given)) == TABLE[cell].owner


@pytest.mark.parametrize("cell", WITHOUT_A_BODY)
def test_where_no_body_is_taken_it_changes_nothing(
    world: World, client_of: Callable[[str], Api], cell: tuple[str, str]
) -> None:
    method, path = cell[0], by_pattern()[cell[1]].path(world.ids)

    answer = client_of(OWNER).call(method, path, smuggled(cell))

    assert told(answer) == TABLE[cell].owner
    assert SMUGGLED not in str(world.rows()) + str(answer)
