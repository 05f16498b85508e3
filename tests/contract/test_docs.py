"""What the documents say is true: their frames, errors, limits, addresses, settings, files and links are there."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import translation

from accounts import limits
from chatplatform.kernel import health
from chatplatform.kernel.db import in_db
from chatplatform.kernel.errors import BY_CODE
from chatplatform.kernel.ratelimit import HOUR, MINUTE
from chatplatform.kernel.secret import Secret
from chatplatform.management.commands.serve import FRAME_BYTES
from chatplatform.origins import FOREIGN
from conversations import limits as of_sockets
from conversations.models import Generation
from conversations.realtime import frames
from conversations.realtime.sockets import BAD, GOING_AWAY, NOT_SIGNED_IN, RESTART, TOO_MANY, TOO_SLOW
from conversations.services.messages import MOST_CHARACTERS
from keyvault.services import MOST_KEYS, add_key
from tests.access.table import REST
from tests.phone import SCRIPT, script
from tests.vendor_server import FaultServer

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = {
    path: path.read_text(encoding="utf-8") for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
}
PROTOCOL = DOCUMENTS[ROOT / "docs/protocol.md"]
EXAMPLE = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def examples() -> Iterator[dict[str, Any]]:
    """Every JSON value in the protocol's blocks, of which one may hold several."""
    decoder = json.JSONDecoder()
    for block in blocks(PROTOCOL, "json"):
        rest = block.strip()
        while rest:
            value, end = decoder.raw_decode(rest)
            yield value
            rest = rest[end:].strip()


def frames_shown() -> list[dict[str, Any]]:
    return [value for value in examples() if "type" in value]


def rows(text: str, columns: int) -> list[list[str]]:
    """The rows of every table with so many columns."""
    split = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in cells] for cells in split if len(cells) == columns]


# --- the protocol -------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(frames.INCOMING))
def test_every_frame_a_client_may_send_has_an_example_that_is_understood(kind):
    shown = [frame for frame in frames_shown() if frame["type"] == kind]
    assert shown, f"docs/protocol.md shows no {kind}"
    for frame in shown:
        request_id, request = frames.parse(json.dumps(frame))
        assert isinstance(request, frames.INCOMING[kind])
        assert request_id == frame.get("id")


@pytest.mark.django_db(transaction=True)
async def test_the_server_sends_the_frames_that_are_shown_with_the_fields_that_are_shown(
    alice, knock, socket, settings
):
    settings.ACCESS_TOKEN_LIFETIME = timedelta(seconds=2)
    phone, laptop = await socket(alice), await socket(alice)
    first = await phone.say(script({"think": "Hm."}, {"say": "a"}, {"wait": 20}), model_id=SCRIPT)
    session, generation = {"session_id": first["session_id"]}, {"generation_id": first["generation_id"]}
    await phone.until("stream", part="text")
    other = await socket(alice)
    await other.ask("follow", **session)
    await other.ask("resume", **generation, attempt=1, after=900)
    await other.until("snapshot", last=True)
    await phone.ask("stop", **generation)
    await phone.hear_out(first["generation_id"])
    cut = {"content": script({"cut": True}), "model_id": SCRIPT, "client_message_id": "client-0001"}
    await phone.hear(**cut)
    await phone.say(**cut)
    await phone.ask("message", content=" ")
    await phone.ask("ping")
    with FaultServer() as vendor:
        settings.VENDOR_KEYS = {"openai": Secret("sk-operator-0001")}
        settings.VENDOR_ADDRESSES = {"openai": vendor.base_url}
        await in_db(add_key, user=alice, vendor="openai", api_key=Secret("sk-own-0001"), base_url=vendor.address("503"))
        settings.OUTBOUND_ALLOW = [f"127.0.0.1:{vendor.port}"]
        await laptop.hear("Hello", model_id="openai/gpt-4o")
    await phone.until("auth_expired")
    health.leave_rotation()
    late = await knock()
    health.return_to_rotation()
    assert await late.closed() == RESTART

    sent = defaultdict(set)
    for frame in phone.frames + laptop.frames + other.frames + late.frames:
        sent[frame["type"]] |= set(frame["data"])
    shown = defaultdict(set)
    for frame in frames_shown():
        if frame["type"] not in frames.INCOMING:
            shown[frame["type"]] |= set(frame["data"])
    assert dict(shown) == dict(sent)


@pytest.mark.parametrize("status", [status for status in Generation.Status if status not in ("queued", "running")])
def test_every_way_a_reply_ends_is_described(status):
    assert f"- `{status}`:" in PROTOCOL


@pytest.mark.parametrize("code", sorted(frames.NOTICES))
def test_every_notice_is_named(code):
    assert f"`{code}`" in PROTOCOL


def test_the_table_of_errors_is_the_tree_of_errors():
    with translation.override("en"):
        tree = [
            [f"`{code}`", str(kind.status), "yes" if kind.retryable else "no", str(kind.message)]
            for code, kind in BY_CODE.items()
        ]
    assert [row for row in rows(PROTOCOL, 4) if row[0].strip("`") in BY_CODE] == tree


def test_the_table_of_addresses_is_the_api():
    described = {cell.strip("`") for cell, *_ in rows(PROTOCOL, 3) if re.match(r"`[A-Z]+ /", cell)}
    there = {f"{method} {re.sub('<[^>]*>', '{id}', path.removeprefix('/api/v1'))}" for method, path in REST}
    assert described == there


def test_the_close_codes_are_named():
    for closing in (GOING_AWAY, RESTART, BAD, NOT_SIGNED_IN, FOREIGN, TOO_SLOW, TOO_MANY):
        assert f"| {closing} |" in PROTOCOL
    assert f"| 1009 | a frame of more than {FRAME_BYTES // 1024} KB" in PROTOCOL


def test_the_limits_are_those_in_force(settings):
    someone, time = uuid4(), {MINUTE: "a minute", 15 * MINUTE: "15 minutes", HOUR: "an hour"}

    def counted(limit):
        return f"{limit.amount} in {time[limit.per]}"

    def bucket(numbers):
        return "{1} at once, then {0} a second".format(*numbers)

    assert dict(rows(PROTOCOL.split("## Limits")[1].split("##")[0], 2)[1:]) == {
        "a frame from a client": f"{frames.MOST_BYTES // 1024} KB",
        "a frame from the server": "32 KB",
        "frames from a client": bucket(of_sockets.FRAMES),
        "acknowledgements": bucket(of_sockets.ACKNOWLEDGEMENTS),
        "sockets of one person on one process": str(of_sockets.SOCKETS_PER_PERSON),
        "sockets from one address on one process": str(of_sockets.SOCKETS_PER_ADDRESS),
        "replies followed over one socket": str(of_sockets.FOLLOWED_PER_SOCKET),
        "conversations followed over one socket": str(of_sockets.WATCHED_PER_SOCKET),
        "the text of a message": f"{MOST_CHARACTERS:,} characters",
        "a REST body": f"{settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024**2} MB",
        "messages of one person": counted(limits.messages_by(someone)),
        "tickets for one person": counted(limits.tickets_by(someone)),
        "checks of keys by one person": counted(limits.key_checks_by(someone)),
        "keys of one person": str(MOST_KEYS),
        "sign-ins from one address": counted(limits.sign_in_from("192.0.2.1")),
        "failed sign-ins to one account from one neighbourhood": counted(limits.sign_in_to("a@b.c", "192.0.2.1")),
        "new accounts from one address": counted(limits.register_from("192.0.2.1")),
        "refreshes from one address": counted(limits.refresh_from("192.0.2.1")),
        "the length of a reply in time": f"{settings.GENERATION_SECONDS // 60} minutes",
    }


# --- all documents ------------------------------------------------------------


def without_blocks(text: str) -> str:
    return re.sub(r"(?ms)^ *```.*?^ *```", "", text)


def anchors(document: Path) -> set[str]:
    """The headings of a document as links name them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(document: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    linked = (document.parent / name).resolve() if name else document
    return linked.exists() and (not anchor or anchor in anchors(linked))


def test_links_lead_somewhere():
    links = [
        (str(document.relative_to(ROOT)), target)
        for document, text in DOCUMENTS.items()
        for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(text))
        if "://" not in target and not leads_somewhere(document, target)
    ]
    assert links == []


def test_the_files_they_name_are_there():
    made = ("var/", "docker/tls", "docker/.env")  # by the server or its operator
    named = {
        name
        for text in DOCUMENTS.values()
        for name in re.findall(r"`((?:[\w.\-]+/)+(?:[\w.\-]+\.(?:py|md|js|yaml|conf|sh))?)`", text)
    }
    assert [name for name in sorted(named) if not name.startswith(made) and not (ROOT / name).exists()] == []


def test_the_variables_they_set_are_read_by_the_server():
    known = {
        *EXAMPLE,
        *(f"{name}_FILE" for name in EXAMPLE),
        # Of the Makefile, of the image's entrypoint, of the database's container, and of the shell in an example.
        *("ARGS", "PYTHON", "MIGRATE", "DATABASE_WAIT_SECONDS", "POSTGRES_PASSWORD", "TOKEN"),
    }
    assigned = {
        name
        for text in DOCUMENTS.values()
        for piece in [*blocks(text, "[a-z]*"), *re.findall(r"`([^`\n]+)`", without_blocks(text))]
        for name in re.findall(r"(?:^|[\s\"])([A-Z][A-Z0-9_]+)=", piece)
    }
    assert assigned - known == set()


def test_the_names_in_capitals_they_use_are_in_the_code():
    apps = ("chatplatform", "accounts", "keyvault", "providers", "conversations", "docker")
    files = [path for app in apps for path in (ROOT / app).rglob("*") if path.suffix in (".py", ".yaml", ".sh")]
    source = set(re.findall(r"[A-Z][A-Z0-9_]+", "\n".join(path.read_text(encoding="utf-8") for path in files)))
    named = {name for text in DOCUMENTS.values() for name in re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`", text)}
    assert {name for name in named if name.removesuffix("_FILE") not in source} == set()


def test_both_readmes_show_the_same_commands():
    def commands(name: str) -> list[str]:
        return [re.sub(r" +# .*", "", block) for block in blocks(DOCUMENTS[ROOT / name], "[a-z]*")]

    assert commands("README.md") == commands("README.zh-CN.md")


def test_every_decision_is_in_the_index_under_its_title():
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"^- \[(.+)\]\((.+)\)$", DOCUMENTS[folder / "README.md"], re.MULTILINE)
    notes = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md") if path.name != "README.md"}
    assert sorted(listed) == sorted((text.splitlines()[0].removeprefix("# "), name) for name, text in notes.items())
