"""Ends what a dead worker left behind, so that no reply runs for ever and no conversation stays locked.

Every worker looks every few seconds. A running generation whose lease has run out is ended under the next attempt with
the text that was saved and what the log has beyond it; a queued one that nobody has taken is started here. Of several
workers that see the same row one wins, by counted update.
"""

import asyncio
import logging
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError
from django.db.models.functions import Now

from chatplatform.kernel import errors, health
from chatplatform.kernel.background import keep_doing
from chatplatform.kernel.db import in_db
from conversations.generation import recorder
from conversations.generation.recorder import Ending
from conversations.generation.runner import Runner, runner
from conversations.models import Generation
from conversations.queries import terminal_data
from conversations.streaming.events import Event, Transcript
from conversations.streaming.hub import Hub, hub
from providers.completion import Usage
from providers.tokens import estimate
from providers.usage import ledger

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
# A queued generation is claimed within milliseconds by whoever accepted it; after so long that worker is gone.
FORGOTTEN = timedelta(seconds=10)


async def start_reaping() -> None:
    """Begin to look; called once per process."""
    own, exchange = await runner(), await hub()

    async def look() -> None:
        try:
            await reap(own, exchange)
        except DatabaseError as exc:
            log.warning("the reaper cannot reach the database", extra={"reason": type(exc).__name__})
            # Nobody could renew a lease meanwhile: the living get the time to, before anyone is taken for dead.
            await asyncio.sleep(settings.LEASE_SECONDS)
        await asyncio.sleep(LOOK_EVERY)

    keep_doing(look, name="reaper")


async def reap(own: Runner, exchange: Hub) -> int:
    """Look once; how many generations were ended."""
    expired, forgotten = await in_db(_left_behind)
    if not health.draining():
        for generation in forgotten:
            own.start(generation)
    ended = 0
    for generation in expired:
        if own.writes(generation.pk):
            continue  # our own, late with its lease and very much alive
        try:
            ended += await _end(generation, exchange)
        except DatabaseError:
            raise
        except Exception:  # whatever is wrong with one row, the others still need an end
            log.exception("a reply could not be ended", extra={"generation": str(generation.pk)})
    return ended


def _left_behind() -> tuple[list[Generation], list[Generation]]:
    rows = Generation.objects.whole()
    expired = rows.filter(status=Generation.Status.RUNNING, lease_until__lt=Now())
    forgotten = rows.filter(status=Generation.Status.QUEUED, created_at__lt=Now() - FORGOTTEN)
    return list(expired[:100]), list(forgotten[:100])


async def _end(generation: Generation, exchange: Hub) -> bool:
    unsaved = await exchange.kept(generation.pk, attempt=generation.attempt, after=generation.seq)
    transcript = _transcript(generation, unsaved)
    stopped = generation.stop_requested_at is not None
    status = Generation.Status.STOPPED if stopped else Generation.Status.INTERRUPTED
    ending = Ending(
        status=status,
        parts=transcript.parts,
        length=transcript.length,
        sha256=transcript.sha256,
        error_code="" if stopped else errors.WorkerLost.code,
        usage=await in_db(_usage, generation, transcript),
        timeline=[{"type": "ended for a worker that went away", "owner": generation.owner}],
    )
    attempt = generation.attempt + 1
    if not await in_db(recorder.finish, generation, ending, seq=1, attempt=attempt):
        return False
    log.warning("ended a reply whose worker went away", extra={"generation": str(generation.pk), "status": str(status)})
    generation.status, generation.error_code = ending.status, ending.error_code
    generation.length, generation.sha256 = ending.length, ending.sha256
    generation.message.tokens_input = ending.usage.input_tokens
    generation.message.tokens_output, generation.usage_estimated = ending.usage.output_tokens, True
    await exchange.publish(generation.pk, Event("done", attempt, 1, 1, data=terminal_data(generation)))
    return True


def _usage(generation: Generation, transcript: Transcript) -> Usage:
    """What the lost worker's call probably cost: the prompt that was reserved for, and the text that is there."""
    prompt = ledger.reserved_prompt(generation_id=generation.pk, attempt=generation.attempt)
    written = "".join(part["text"] for part in transcript.parts)
    carried = generation.continued_from.message.parts if generation.continued_from else []
    fresh = written[sum(len(part["text"]) for part in carried) :]
    return Usage(input_tokens=prompt, output_tokens=estimate(fresh), estimated=True)


def _transcript(generation: Generation, unsaved: list[Event]) -> Transcript:
    """What was saved, and what the log has directly after it."""
    transcript = Transcript()
    for part in generation.message.parts:
        transcript.add(part["type"], part["text"])
    reached = generation.seq
    for event in unsaved:
        if event.attempt != generation.attempt or event.first > reached + 1:
            break
        reached = event.seq
        if event.is_delta:
            transcript.add(event.part, event.text)
    return transcript
