"""Who gets what for every frame of `/ws/chat`: a table made of the frames there are, and every cell is asked.

A frame, or an id in one, that is missing here fails. Then somebody with many sockets and all of Alice's ids listens
while a reply is written to her, and hears nothing.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import pytest

from accounts.models import User
from chatplatform.kernel.db import in_db
from conversations.models import Conversation, Generation
from conversations.realtime.frames import INCOMING
from tests.access.world import ANONYMOUS, MARKER, OPERATOR, OTHER, OWNER, ROLES, World
from tests.conversations.conftest import token_of
from tests.phone import BRIEF, SCRIPT, Phone, script

pytestmark = pytest.mark.django_db(transaction=True)

SIGN_IN, MISSING = "error UNAUTHENTICATED", "error NOT_FOUND"


@dataclass(frozen=True)
class Sent:
    """What is sent, and what each role is answered. `id`: the field that names something of the owner's."""

    type: str
    id: str
    data: Callable[[World, "Own"], dict[str, Any]]
    anonymous: str
    other: str
    operator: str
    owner: str

    @property
    def expected(self) -> dict[str, str]:
        return {ANONYMOUS: self.anonymous, OTHER: self.other, OPERATOR: self.operator, OWNER: self.owner}

    def __str__(self) -> str:
        return f"{self.type} {self.id}".strip()


@dataclass(frozen=True)
class Own:
    """What the sender has of their own."""

    session_id: str
    token: str


def owners(type: str, id: str, answer: str, *, missing: str = MISSING, **more: Any) -> Sent:
    """The id of something of the owner's, in an otherwise good frame."""

    def data(world: World, own: Own) -> dict[str, Any]:
        return {name: value(world, own) if callable(value) else value for name, value in more.items()} | {
            id: str(world.ids[id])
        }

    return Sent(type, id, data, SIGN_IN, missing, missing, answer)


def own_session(world: World, own: Own) -> str:
    return own.session_id


TABLE = [
    # The owner's own token, stolen: it signs in who is nobody yet, and turns nobody into somebody else.
    Sent("auth", "token", lambda _, own: {"token": own.token}, "ready", "error FORBIDDEN", "error FORBIDDEN", "ready"),
    Sent("auth", "", lambda *_: {"token": "x.y.z"}, SIGN_IN, SIGN_IN, SIGN_IN, SIGN_IN),
    Sent("ping", "", lambda *_: {}, "pong", "pong", "pong", "pong"),
    Sent("message", "", lambda *_: BRIEF, SIGN_IN, "accepted", "accepted", "accepted"),
    owners("message", "session_id", "accepted", **BRIEF),
    owners("message", "parent_id", "accepted", session_id=own_session, **BRIEF),
    # A model that answers to the owner's key alone.
    owners("message", "model_id", "accepted", missing="error MODEL_NOT_FOUND", content="Hello"),
    owners("continue", "message_id", "error NOTHING_TO_CONTINUE"),
    owners(
        "continue", "model_id", "error NOT_FOUND", missing="error NOT_FOUND", message_id=lambda *_: str(UUID(int=1))
    ),
    owners("stop", "session_id", "notice nothing_to_stop"),
    owners("stop", "generation_id", "notice nothing_to_stop"),
    owners("resume", "session_id", "resumed"),
    owners("resume", "generation_id", "resumed"),
    owners("ack", "generation_id", "pong", missing="pong", seq=1),
    owners("follow", "session_id", "session"),
    owners("unfollow", "session_id", "session"),
]
# Never answered, whosever the id is; the ping after it is.
SILENT = {"ack"}
# The client's own word for what it sends; the server has none of it.
NO_THING = {("message", "client_message_id")}


def test_every_frame_and_every_id_in_one_stands_in_the_table() -> None:
    named = {
        (type, field.name)
        for type, frame in INCOMING.items()
        for field in msgspec.structs.fields(frame)
        if field.name.endswith(("_id", "_ids", "token")) or "UUID" in str(field.type)
    }

    assert {sent.type for sent in TABLE} == set(INCOMING)
    assert {(sent.type, sent.id) for sent in TABLE if sent.id} == named - NO_THING


@pytest.fixture
async def line_of(world: World, socket: Callable[..., Any], knock: Callable[..., Any]) -> Callable[..., Any]:
    """`await line_of("other")`: a socket of whoever has that role."""

    async def line_of(role: str) -> Phone:
        phone: Phone = await (knock() if role == ANONYMOUS else socket(world.people[role]))
        return phone

    return line_of


def conversation_of(user: User | None, world: World) -> str:
    if user is None or user == world.alice:
        return str(world.conversation.pk)
    return str(Conversation.objects.create(user=user).pk)


def told(frame: dict[str, Any]) -> str:
    """A frame in two words: `pong`, or `error NOT_FOUND`."""
    return f"{frame['type']} {frame['data'].get('code', '')}".strip()


@pytest.mark.parametrize("sent", TABLE, ids=str)
async def test_everybody_is_answered_as_the_table_says(world: World, line_of: Callable[..., Any], sent: Sent) -> None:
    phones = {role: await line_of(role) for role in ROLES}
    token = await in_db(token_of, world.alice)
    before = await in_db(world.rows)

    answers = {}
    for role, phone in phones.items():
        if role == OWNER:
            assert await in_db(world.rows) == before, "something of hers was changed by somebody else"
        session_id = await in_db(conversation_of, world.people.get(role), world)
        asked = sent.data(world, Own(session_id, token))
        if sent.type in SILENT and role != ANONYMOUS:
            await phone.send(sent.type, **asked)
            answers[role] = told(await phone.ask("ping"))
        else:
            answers[role] = told(await phone.ask(sent.type, **asked))

    assert answers == sent.expected
    for role in (OTHER, OPERATOR):
        assert world.leaked(json.dumps(phones[role].frames)) == []


async def test_the_owner_hears_what_others_do_not(world: World, line_of: Callable[..., Any]) -> None:
    """Otherwise silence would pass for a refusal."""
    phone = await line_of(OWNER)

    await phone.ask("resume", generation_id=str(world.generation.pk))
    shown = await phone.hear_out(str(world.generation.pk))

    assert MARKER in shown.text


# --- the listening attacker ---------------------------------------------------

SOCKETS, TRIES = 8, 40
ENDLESS = script({"say": f"{MARKER} ", "times": 4000, "every": 0.02})


def spellings(known: UUID, chance: Random) -> Iterator[str]:
    """The id itself, differently written, and its neighbours."""
    yield str(known)
    yield str(known).upper()
    yield known.hex
    yield str(UUID(int=known.int ^ (1 << chance.randrange(122))))
    yield str(UUID(int=(known.int + chance.randrange(1, 1000)) % 2**128))


def attempts(ids: list[UUID], chance: Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests to hear, to stop or to disturb what has one of these ids, without end."""
    while True:
        for known in ids:
            for spelt in spellings(known, chance):
                after = {"attempt": chance.randrange(3), "after": chance.randrange(50)}
                choices: list[tuple[str, dict[str, Any]]] = [
                    ("resume", {"generation_id": spelt, **after}),
                    ("resume", {"session_id": spelt, **after}),
                    ("follow", {"session_id": spelt}),
                    ("unfollow", {"session_id": spelt}),
                    ("stop", {"session_id": spelt}),
                    ("stop", {"generation_id": spelt}),
                ]
                yield chance.choice(choices)


async def test_who_listens_with_all_her_ids_hears_nothing(world: World, line_of: Callable[..., Any]) -> None:
    hers: Phone = await line_of(OWNER)
    accepted = await hers.say(ENDLESS, session_id=str(world.conversation.pk), model_id=SCRIPT)
    await hers.until_shown(accepted["generation_id"], lambda shown: MARKER in shown.text)
    names = ("generation_id", "session_id", "message_id", "user_message_id")
    ids = [*(UUID(accepted[name]) for name in names), world.alice.pk, world.device.pk, world.generation.pk]

    async def attack(phone: Phone, seed: int) -> None:
        tries = attempts(ids, Random(seed))
        for _ in range(TRIES):
            type, data = next(tries)
            assert told(await phone.ask(type, **data)) == MISSING, (type, data)
        for name in ("session_id", "parent_id"):
            into = {"session_id": accepted["session_id"], name: str(ids[1])}
            assert told(await phone.ask("message", **BRIEF | into)) == MISSING
        assert told(await phone.ask("ping")) == "pong"

    his = [await line_of(OTHER) for _ in range(SOCKETS)]
    async with asyncio.TaskGroup() as attackers:
        listening = attackers.create_task(hers.until("never"))
        await asyncio.gather(*(attack(phone, seed) for seed, phone in enumerate(his)))
        listening.cancel()

    heard = [frame for phone in his for frame in phone.frames]
    assert len(heard) > SOCKETS * TRIES
    assert {frame["type"] for frame in heard} == {"ready", "error", "pong"}
    assert world.leaked(json.dumps(heard)) == []
    running = await in_db(Generation.objects.get, pk=accepted["generation_id"])
    assert (running.status, running.stop_requested_at) == (Generation.Status.RUNNING, None)
    await hers.ask("stop", generation_id=accepted["generation_id"])
    shown = await hers.hear_out(accepted["generation_id"])
    assert (shown.done or {})["status"] == "stopped"
    assert shown.text.count(MARKER) > 5
