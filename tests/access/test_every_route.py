"""Who gets what from every route of the server: a table with one line per route and method, and every cell is asked.

A route or method that is missing here fails, and so does a line without a route. Somebody else's things are not there
(404, never 403), for the server's own operators too. Admin pages have a file of their own.
"""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.permissions import AllowAny, IsAuthenticated

from tests.access.routes import METHODS, Route, all_routes, by_pattern, described, fields_taken
from tests.access.table import DOCS, MISSING, NOT_REST, REST, SCHEMA, TABLE, ask, marks_of
from tests.access.world import ANONYMOUS, OPERATOR, OTHER, OWNER, ROLES, World, in_envelope, told
from tests.cast import Answer, Api

pytestmark = pytest.mark.django_db

CELLS = [pytest.param(*cell, id=" ".join(cell), marks=marks_of(cell)) for cell in TABLE]


def routes() -> list[Route]:
    return [route for route in all_routes() if not route.is_admin]


def test_every_route_and_method_stands_in_the_table() -> None:
    api = Api()
    there: set[tuple[str, str]] = set()
    for route in routes():
        methods = (
            route.methods() if route.view_class else [m for m in METHODS if api.call(m, route.pattern).status != 405]
        )
        assert methods, f"{route.pattern} answers to nothing"
        there |= {(method, route.pattern) for method in methods}

    assert sorted(there - set(TABLE)) == [], "not in the table"
    assert sorted(set(TABLE) - there) == [], "in the table, and not on the server"


@pytest.mark.parametrize(("method", "pattern"), CELLS)
def test_everybody_is_answered_as_the_table_says(
    world: World, client_of: Callable[[str], Api], method: str, pattern: str
) -> None:
    before = world.rows()

    answers = {}
    for role in ROLES:
        if role == OWNER:
            assert world.rows() == before, "something of hers was changed by somebody else"
        answers[role] = ask(client_of(role), world, role, method, pattern)

    assert {role: told(answer) for role, answer in answers.items()} == TABLE[method, pattern].expected
    for role in ROLES[:-1]:
        assert world.leaked(str(answers[role])) == []
    if (method, pattern) in REST and pattern not in (SCHEMA, DOCS):
        for answer in answers.values():
            assert in_envelope(answer, error=answer.status >= 400), answer.body


def test_the_owner_is_shown_what_others_are_not(world: World, client_of: Callable[[str], Api]) -> None:
    """Otherwise an empty answer would pass for a refusal."""
    lists = {"/api/v1/users/me", "/api/v1/keys", "/api/v1/sessions"}
    things = {pattern for (method, pattern), line in REST.items() if method == "GET" and line.other == MISSING}
    for pattern in lists | things:
        assert world.leaked(str(client_of(OWNER).get(by_pattern()[pattern].path(world.ids)))), pattern


@pytest.mark.parametrize("pattern", sorted({pattern for _, pattern in REST}))
def test_another_method_is_refused(world: World, client_of: Callable[[str], Api], pattern: str) -> None:
    route = by_pattern()[pattern]
    others = [method for method in (*METHODS, "BREW") if (method, pattern) not in REST]
    before = world.rows()

    answers = {method: client_of(OWNER).call(method, route.path(world.ids), {}) for method in others}

    assert {method: answer.status for method, answer in answers.items()} == dict.fromkeys(others, 405)
    if pattern not in (SCHEMA, DOCS):
        for answer in answers.values():
            assert in_envelope(answer, error=True) and answer.code == "METHOD_NOT_ALLOWED"
    assert world.rows() == before


@pytest.mark.parametrize("pattern", sorted({pattern for _, pattern in REST}))
def test_head_and_options_say_no_more_than_get(world: World, client_of: Callable[[str], Api], pattern: str) -> None:
    route = by_pattern()[pattern]
    get = REST.get(("GET", pattern))
    open_to_all = AllowAny in route.view_class.permission_classes
    for role in ROLES[:-1]:
        options = client_of(role).call("OPTIONS", route.path(world.ids))
        assert options.status == (405 if pattern == DOCS else 200 if open_to_all or role != ANONYMOUS else 401)
        assert world.leaked(str(options)) == []
        if get is not None:
            head = client_of(role).call("HEAD", route.path(world.ids))
            assert (str(head.status), head.body) == (get.expected[role].split()[0], "")


@pytest.mark.parametrize(
    "pattern", sorted(pattern for method, pattern in REST if method == "GET" and pattern != SCHEMA)
)
def test_the_browsable_pages_answer_as_the_api_does(
    world: World, client_of: Callable[[str], Api], pattern: str
) -> None:
    line, path = REST["GET", pattern], by_pattern()[pattern].path(world.ids)
    for role in ROLES:
        answer = client_of(role).get(path, HTTP_ACCEPT="text/html")
        assert str(answer.status) == line.expected[role].split()[0], answer.body
        assert answer.headers["Content-Type"].startswith("text/html")
        if role != OWNER:
            # The page repeats the address it was asked for, and no more.
            assert world.leaked(str(answer).replace(path, "")) == []


def test_what_is_public_says_so_and_nothing_else_is() -> None:
    """A view that says nothing of permissions asks for a sign-in, and a view without permissions stands in the list."""
    for route in routes():
        lines = [line for (_, pattern), line in TABLE.items() if pattern == route.pattern]
        if route.is_rest:
            # Signing out is public in that whoever brings a refresh token needs nothing else.
            public = route.pattern == "/api/v1/auth/logout" or all(line.public for line in lines)
            assert list(route.view_class.permission_classes) == [AllowAny if public else IsAuthenticated], route.pattern
        else:
            assert route.pattern in NOT_REST, f"{route.pattern} is no REST view: who may call it?"


def test_without_a_word_of_its_own_a_view_asks_for_a_sign_in(settings: Any) -> None:
    assert settings.REST_FRAMEWORK["DEFAULT_PERMISSION_CLASSES"] == ["rest_framework.permissions.IsAuthenticated"]


# --- ids that stand elsewhere than in the address ---------------------------


def page_before_hers(his: Api, world: World) -> Answer:
    own = his.post("/api/v1/sessions", {}).data["id"]
    return his.get(f"/api/v1/messages/session/{own}?before={world.reply.pk}")


def begin_with_her_model(his: Api, world: World) -> Answer:
    return his.post("/api/v1/sessions", {"model_id": str(world.model.pk)})


# What names a thing by its id, and what somebody is answered who names one of Alice's.
IDS_ELSEWHERE: dict[tuple[str, str, str], tuple[Callable[[Api, World], Answer], str]] = {
    ("GET", "/api/v1/messages/session/<uuid:session_id>", "before"): (page_before_hers, MISSING),
    ("POST", "/api/v1/sessions", "model_id"): (begin_with_her_model, "404 MODEL_NOT_FOUND"),
}


def names_a_thing(name: str, schema: dict[str, Any]) -> bool:
    return schema.get("format") == "uuid" or name.endswith(("_id", "_ids"))


def test_every_id_that_a_request_carries_stands_in_the_list() -> None:
    there = set()
    for (method, pattern), operation in described().items():
        queries = {p["name"]: p["schema"] for p in operation.get("parameters", ()) if p["in"] == "query"}
        for name, schema in (queries | fields_taken(operation)).items():
            if names_a_thing(name, schema):
                there.add((method, pattern, name))

    assert there == set(IDS_ELSEWHERE)


@pytest.mark.parametrize(("ask", "expected"), IDS_ELSEWHERE.values(), ids=map(" ".join, IDS_ELSEWHERE))
def test_an_id_of_somebody_elses_leads_nowhere(
    world: World, client_of: Callable[[str], Api], ask: Callable[[Api, World], Answer], expected: str
) -> None:
    before = world.rows()

    for role in (OTHER, OPERATOR):
        answer = ask(client_of(role), world)
        assert told(answer) == expected
        assert world.leaked(str(answer)) == []
    assert world.rows() == before
