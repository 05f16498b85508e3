"""One reply, from a claimed generation to its last event. This is the file to read.

1. `accepted` is event number 1 of every attempt: whoever follows learns what is being answered. A reply that goes on
   from an earlier one begins with its text, and a notice marks the seam.
2. The context builder makes the prompt: as much of the branch as fits the model's window.
3. The most that it can cost is set aside in the ledger.
4. The router finds a vendor that answers. Until the first event it may try another key or vendor; never after.
5. Every piece of text gets its number and goes to the hub, which gives it to all who follow, and keeps it.
6. The vendor's own count is the usage; where it sends none, an estimate that says so.
7. How it ended is decided here and nowhere else: `completed` needs the vendor's finish reason; a failure before any
   text is `failed`; one after text is `interrupted`, with the text kept; a person's stop is `stopped`.
8. The recorder stores the end and settles the ledger in one transaction, and only then the terminal event goes out.

A second of silence from the database does not lose a reply: step 8 is tried again for a minute.
"""

import asyncio
import logging
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from chatplatform.kernel import errors
from chatplatform.kernel.db import in_db
from conversations.context.builder import build_prompt
from conversations.generation import recorder
from conversations.generation.recorder import Ending
from conversations.models import Generation
from conversations.queries import terminal_data
from conversations.streaming.events import MOST_CHARACTERS, TEXT, THINKING, joined
from conversations.streaming.stream import Stream
from providers.completion import Finished, Prompt, TextDelta, ThinkingDelta, Usage, UsageReport
from providers.routing.router import Reply, open_reply
from providers.tokens import estimate_prompt, estimated_usage
from providers.usage import ledger, pricing

log = logging.getLogger(__name__)

# How long the end of a reply is held while the database is away, in seconds.
HOLD = 60.0
# Marks the seam: what comes after this notice was written by the run that goes on from an earlier one.
CONTINUED = "continued"

Status = Generation.Status


class Writing:
    """One attempt of one generation being written. Made by the runner, which owns the task that runs it."""

    def __init__(self, generation: Generation, stream: Stream) -> None:
        self.generation = generation
        self.stream = stream
        self.stop_wanted = False
        self.finish_reason = ""
        self.error: errors.AppError | None = None
        self.usage: Usage | None = None
        self.prompt: Prompt | None = None
        self.vendor = ""
        self.key_id: Any = None
        self.started_at: datetime | None = None
        self.first_delta_at: datetime | None = None
        self.timeline: list[dict[str, Any]] = []
        # Characters that come from the run this one goes on from: they were paid for there.
        self.carried: Counter[str] = Counter()

    def begin(self) -> None:
        """Step 1."""
        self.stream.emit("accepted", **accepted_data(self.generation))
        self._note("accepted")
        if (earlier := self.generation.continued_from) is not None:
            for part in earlier.message.parts:
                self._give_out(part["type"], part["text"])
                self.carried[part["type"]] += len(part["text"])
            self.stream.emit("notice", code=CONTINUED, off=self.stream.transcript.length)
            self._note("notice", code=CONTINUED)

    async def write(self) -> None:
        """Steps 2 to 6. Whatever happens is noted on this object; only cancellation comes out."""
        try:
            async with asyncio.timeout(settings.GENERATION_SECONDS):
                await self._write()
        except TimeoutError:
            self.error = errors.VendorTimeout()
        except errors.AppError as error:
            self.error = error
        except DatabaseError:
            log.exception("the database failed a reply", extra={"generation": str(self.generation.pk)})
            self.error = errors.Unavailable()
        except Exception:
            log.exception("a reply failed by a defect of ours", extra={"generation": str(self.generation.pk)})
            self.error = errors.AppError()

    async def _write(self) -> None:
        generation = self.generation
        self.prompt = await in_db(_prepare, generation)
        if generation.model is None:  # the builder has said so; this is for the type checker
            raise errors.ModelNotFound
        async with open_reply(user_id=generation.user_id, model=generation.model, prompt=self.prompt) as reply:
            self._started(reply)
            async for event in reply.events():
                match event:
                    case TextDelta(text=text):
                        self._say(TEXT, text)
                    case ThinkingDelta(text=text):
                        self._say(THINKING, text)
                    case UsageReport(usage=usage):
                        self.usage = usage
                    case Finished(reason=reason):
                        self.finish_reason = reason.value

    def _started(self, reply: Reply) -> None:
        self.vendor, self.key_id = reply.vendor, reply.key_id
        self.started_at = datetime.now(UTC)
        for notice in reply.notices:
            self.stream.emit("notice", code=notice.code)
            self._note("notice", code=notice.code)
        self.stream.emit("started", model=reply.model, vendor=reply.vendor)
        self._note("started", vendor=reply.vendor)

    def _say(self, part: str, text: str) -> None:
        if self.first_delta_at is None:
            self.first_delta_at = datetime.now(UTC)
            self._note("first delta", part=part)
        self._give_out(part, text)

    def _give_out(self, part: str, text: str) -> None:
        for start in range(0, len(text), MOST_CHARACTERS):
            self.stream.write(part, text[start : start + MOST_CHARACTERS])

    def _note(self, what: str, **details: Any) -> None:
        self.timeline.append({"at": datetime.now(UTC).isoformat(), "type": what, "seq": self.stream.seq, **details})

    async def finish(self, *, interrupted: bool = False) -> None:
        """Steps 7 and 8. `interrupted`: this worker is going away, and nobody asked for a stop."""
        generation, stream = self.generation, self.stream
        ending = self._ending(interrupted)
        if self.usage is not None:
            usage = {"tokens_input": ending.usage.input_tokens, "tokens_output": ending.usage.output_tokens}
            cost = pricing.cost(generation.model, ending.usage) if generation.model else None
            currency = generation.model.currency if generation.model else None
            stream.emit(
                "usage",
                **usage,
                cost=None if cost is None else str(cost),
                currency=currency,
                estimated=ending.usage.estimated,
            )
        self._note(ending.status, events=stream.seq + 1)
        ending.timeline = self.timeline
        if not await self._record(ending):
            log.warning("a reply had been ended by somebody else", extra={"generation": str(generation.pk)})
            return
        generation.status, generation.finish_reason = ending.status, ending.finish_reason
        generation.error_code, generation.usage_estimated = ending.error_code, ending.usage.estimated
        generation.length, generation.sha256 = ending.length, ending.sha256
        generation.message.tokens_input = ending.usage.input_tokens
        generation.message.tokens_output = ending.usage.output_tokens
        stream.emit("done", **terminal_data(generation))

    def _ending(self, interrupted: bool) -> Ending:
        transcript = self.stream.transcript
        if self.usage is None and self.prompt is not None and self._was_asked:
            text, thinking = (joined(transcript.parts, kind)[self.carried[kind] :] for kind in (TEXT, THINKING))
            self.usage = estimated_usage(self.prompt, text=text, thinking=thinking)
        has_text = self.first_delta_at is not None
        if self.finish_reason and self.error is None:
            status = Status.COMPLETED
        elif self.stop_wanted:
            status = Status.STOPPED
        elif interrupted or has_text:
            status = Status.INTERRUPTED
            self.error = self.error or (errors.WorkerLost() if interrupted else errors.VendorTruncated())
        else:
            status = Status.FAILED
            self.error = self.error or errors.VendorTruncated()
        return Ending(
            status=status,
            parts=transcript.parts,
            length=transcript.length,
            sha256=transcript.sha256,
            finish_reason=self.finish_reason if status == Status.COMPLETED else "",
            error_code=self.error.code if self.error and status in (Status.FAILED, Status.INTERRUPTED) else "",
            usage=self.usage or Usage(),
            vendor=self.vendor,
            key_id=self.key_id,
            started_at=self.started_at,
            first_delta_at=self.first_delta_at,
        )

    @property
    def _was_asked(self) -> bool:
        """Whether a vendor may bill for this: it answered, or was left while it was about to."""
        return self.started_at is not None or self.stop_wanted or isinstance(self.error, errors.VendorTimeout)

    async def _record(self, ending: Ending) -> bool:
        give_up = time.monotonic() + HOLD
        pause = 0.2
        while True:
            try:
                return await in_db(recorder.finish, self.generation, ending, seq=self.stream.seq + 1)
            except DatabaseError:
                if time.monotonic() > give_up:
                    raise
                log.warning("the database is away; the end of a reply is held", extra={"id": str(self.generation.pk)})
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)


def _prepare(generation: Generation) -> Prompt:
    """Steps 2 and 3, in one visit to the database."""
    prompt = build_prompt(generation)
    if generation.model is not None:
        ledger.reserve(
            user_id=generation.user_id,
            model=generation.model,
            generation_id=generation.pk,
            attempt=generation.attempt,
            prompt_tokens=estimate_prompt(prompt),
            most_output_tokens=prompt.sampling.max_tokens,
        )
    return prompt


def accepted_data(generation: Generation) -> dict[str, Any]:
    """What the first event says: what is being answered, and with which model."""
    return {
        "session_id": str(generation.conversation_id),
        "user_message_id": str(generation.turn_id),
        "message_id": str(generation.message_id),
        "model": generation.model.qualified_name if generation.model else None,
        "client_message_id": generation.turn.client_message_id,
    }
