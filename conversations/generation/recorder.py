"""Everything a running reply writes to the database, all of it fenced by attempt.

Text is saved once a second for all replies of a worker together, and once, finally, when a reply ends; never per
token. Whoever lost the race for the end of a generation changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from conversations.models import Conversation, Generation, Message
from conversations.models.generation import lease_end
from conversations.streaming.events import TEXT, joined
from providers.completion import Usage
from providers.usage import ledger


@dataclass(frozen=True)
class Progress:
    """A running reply as far as it has come: `parts` reach event number `seq`."""

    generation_id: UUID
    attempt: int
    message_id: UUID
    seq: int
    parts: list[dict[str, str]]


@dataclass
class Ending:
    """How a reply ended."""

    status: str
    parts: list[dict[str, str]]
    length: int
    sha256: str
    finish_reason: str = ""
    error_code: str = ""
    usage: Usage = field(default_factory=Usage)
    vendor: str = ""
    key_id: UUID | None = None
    started_at: datetime | None = None
    first_delta_at: datetime | None = None
    timeline: list[dict[str, Any]] = field(default_factory=list)


# One statement per table for all replies of a worker. The join is the fence: a row that has ended, or that a later
# attempt writes, is not touched.
SAVE_TEXT = """
    UPDATE messages SET content = %s, parts = %s, updated_at = CURRENT_TIMESTAMP
    FROM generations g
    WHERE messages.id = %s AND g.id = %s AND g.attempt = %s AND g.status = 'running'
"""
SAVE_SEQ = "UPDATE generations SET seq = %s WHERE id = %s AND attempt = %s AND status = 'running'"


def save_progress(progress: Sequence[Progress]) -> None:
    """Store the text so far of every reply given."""

    def id_of(value: UUID) -> Any:
        return Message._meta.pk.get_db_prep_value(value, connection)

    parts = Message._meta.get_field("parts")
    texts, numbers = [], []
    for reply in progress:
        prepared = parts.get_db_prep_save(reply.parts, connection)
        fence = (id_of(reply.generation_id), reply.attempt)
        texts.append((joined(reply.parts, TEXT), prepared, id_of(reply.message_id), *fence))
        numbers.append((reply.seq, *fence))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(SAVE_TEXT, texts)
        cursor.executemany(SAVE_SEQ, numbers)


def renew_leases(owner: str) -> None:
    """Say that this worker lives, for all of its generations at once, on the database's clock."""
    Generation.objects.filter(owner=owner, status=Generation.Status.RUNNING).update(lease_until=lease_end())


def still_ours(owner: str) -> dict[tuple[UUID, int], bool]:
    """The worker's running generations by id and attempt, and whether a stop was asked for. What is missing here was
    taken over or ended by somebody else."""
    rows = Generation.objects.filter(owner=owner, status=Generation.Status.RUNNING)
    return {
        (pk, attempt): asked is not None
        for pk, attempt, asked in rows.values_list("pk", "attempt", "stop_requested_at")
    }


@transaction.atomic
def finish(generation: Generation, ending: Ending, *, seq: int, attempt: int | None = None) -> bool:
    """End a generation for good: state, text, tokens, what it cost, and the conversation free for its next turn.

    `seq` is the number of the terminal event. `attempt` is given by who ends it for somebody else: the row moves on to
    that attempt, so that nothing the old one still sends is taken for current. False if it has ended already.
    """
    ended = Generation.objects.end(
        generation,
        status=ending.status,
        seq=seq,
        finish_reason=ending.finish_reason,
        error_code=ending.error_code,
        length=ending.length,
        sha256=ending.sha256,
        usage_estimated=ending.usage.estimated,
        vendor=ending.vendor or F("vendor"),
        key_id=ending.key_id or F("key_id"),
        started_at=ending.started_at or F("started_at"),
        first_delta_at=ending.first_delta_at or F("first_delta_at"),
        timeline=ending.timeline,
        **({"attempt": attempt} if attempt else {}),
    )
    if not ended:
        return False
    _account(generation, ending)
    Message.objects.filter(pk=generation.message_id).update(
        content=joined(ending.parts, TEXT),
        parts=ending.parts,
        tokens_input=ending.usage.input_tokens,
        tokens_output=ending.usage.output_tokens,
        updated_at=Now(),
    )
    if not Generation.objects.alive().filter(turn=generation.turn_id).exists():
        Conversation.objects.end_turn(generation.conversation_id, generation.turn_id)
    Conversation.objects.filter(pk=generation.conversation_id).update(updated_at=Now())
    return True


def _account(generation: Generation, ending: Ending) -> None:
    if ending.usage == Usage():
        ledger.release(generation_id=generation.pk, attempt=generation.attempt)
        return
    ledger.settle(
        generation_id=generation.pk,
        attempt=generation.attempt,
        usage=ending.usage,
        vendor=ending.vendor,
        key_id=ending.key_id,
    )
