"""The API's description is whole, true and our own: it leaves no route out, and answers are what it says they are."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.access.routes import described, description
from tests.access.table import DOCS, REST, SCHEMA, ask, marks_of
from tests.access.world import OTHER, OWNER, World
from tests.cast import Answer, Api, application

pytestmark = pytest.mark.django_db

# What is never in an answer, whatever the rows it is made of have.
NEVER_SHOWN = {
    "password",
    "password_hash",
    "api_key",
    "encrypted_key",
    "ciphertext",
    "wrapped_dek",
    "dek_nonce",
    "nonce",
}
NEVER_SHOWN |= {"fingerprint", "current_hash", "previous_hash", "payload_hash", "is_staff", "is_superuser", "owner"}
# The description and its page do not describe themselves.
DESCRIBED = {cell: line for cell, line in REST.items() if cell[1] not in (SCHEMA, DOCS)}


def test_the_description_is_valid_and_made_without_a_warning(tmp_path: Any) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yml"))


def test_every_route_and_method_is_described() -> None:
    assert set(described()) == set(DESCRIBED)


def test_it_is_the_same_every_time_it_is_asked_for() -> None:
    first, second = (json.loads(Api().get(f"{SCHEMA}?format=json").body) for _ in range(2))

    assert first == second
    names = set(first["components"]["schemas"])
    assert set(re.findall(r"#/components/schemas/(\w+)", json.dumps(second))) <= names


def test_it_says_where_one_has_to_be_signed_in() -> None:
    needed = {cell for cell, operation in described().items() if {} not in operation.get("security", [{}])}

    # Signing out needs a token of either kind.
    assert needed == {cell for cell, line in DESCRIBED.items() if not line.public} - {("POST", "/api/v1/auth/logout")}


def names_in(schema: Any) -> set[str]:
    """The names of all properties, however deep."""
    if isinstance(schema, list):
        return set().union(*map(names_in, schema))
    if not isinstance(schema, dict):
        return set()
    own = set(schema.get("properties", {}))
    return own.union(*map(names_in, schema.values()))


def test_no_answer_is_described_with_what_is_never_shown() -> None:
    answers = [operation["responses"] for operation in described().values()]
    schemas = [resolved(answer) for answer in answers]

    assert names_in(schemas) & NEVER_SHOWN == set()


# --- answers are what the description says --------------------------------------


def resolved(schema: Any) -> Any:
    """A schema with everything it refers to in its place, in the words of JSON Schema."""
    if isinstance(schema, list):
        return [resolved(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = description()["components"]["schemas"][name] | {k: v for k, v in schema.items() if k != "$ref"}
    made = {name: resolved(value) for name, value in schema.items() if name != "nullable"}
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") else made


def as_described(answer: Answer, cell: tuple[str, str]) -> list[str]:
    """What of an answer is not as its description says."""
    responses = described()[cell]["responses"]
    response = responses.get(str(answer.status)) or responses["default"]
    schema = resolved(response["content"]["application/json"]["schema"])
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(answer.body)]


@pytest.mark.parametrize("cell", [pytest.param(cell, id=" ".join(cell), marks=marks_of(cell)) for cell in DESCRIBED])
def test_answers_are_what_the_description_says(
    world: World, client_of: Callable[[str], Api], cell: tuple[str, str]
) -> None:
    for role in (OTHER, OWNER):
        answer = ask(client_of(role), world, role, *cell)
        assert answer.status < 400 or role == OTHER
        assert str(answer.status) in described()[cell]["responses"] or answer.status >= 400
        assert as_described(answer, cell) == []


def test_a_wrong_answer_would_be_noticed() -> None:
    wrong = Answer(200, {"success": True, "data": {"id": 7}}, {}, cookies=None)  # type: ignore[arg-type]

    assert as_described(wrong, ("GET", "/api/v1/users/me")) != []


# --- the page that shows it -------------------------------------------------------


class Parts(HTMLParser):
    """The addresses that a page makes a browser fetch or offers to follow."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for name, value in attrs if value and name in {"src", "href", "action", "poster"}]


def test_the_page_is_made_of_our_own_parts() -> None:
    page = Api().get(DOCS)
    parts = Parts()
    parts.feed(page.body)

    assert parts.addresses
    assert [address for address in parts.addresses if urlsplit(address).netloc] == []
    for address in parts.addresses:
        client = Client()
        client.handler = application()
        assert client.get(urljoin(DOCS, address)).status_code == 200, address
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]


def test_the_script_that_starts_it_names_no_other_host() -> None:
    assert re.findall(r"https?://", Api().get(f"{DOCS}?script=").body) == []
