"""Who owns a running reply: one runner per process, which no socket can end.

A generation is claimed by a counted update and held by a lease on the database's clock. Once a second the runner saves
the text of all its replies together and looks for stops that were asked for elsewhere; every third of the lease it
renews it. A generation that is no longer its own has been taken over: the runner lets go of it and writes nothing more.
"""

import asyncio
import logging
import time
import weakref
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError

from chatplatform.kernel.background import cancel, keep_doing, spawn
from chatplatform.kernel.db import in_db
from conversations.generation import recorder
from conversations.generation.engine import Writing
from conversations.generation.recorder import Progress
from conversations.models import Generation
from conversations.streaming.hub import Hub, hub

log = logging.getLogger(__name__)

# Seconds between two saves of what is being written. A crash of worker and Redis together loses no more than this.
SAVE_EVERY = 1.0


class _Run:
    """A reply of this process: what writes it, and the task that does."""

    def __init__(self, writing: Writing) -> None:
        self.writing = writing
        self.task: asyncio.Task[None] | None = None
        # The claim, the writing and the end of it.
        self.whole: asyncio.Task[None] | None = None
        self.saved_seq = 0
        self.fenced = False

    def stop(self) -> None:
        """A person wants it to stop; the second call does nothing more."""
        if not self.writing.stop_wanted:
            self.writing.stop_wanted = True
            self._cancel()

    def fence(self) -> None:
        """It belongs to somebody else now."""
        self.fenced = True
        self._cancel()

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()


class Runner:
    """The process's runner. Get it by `await runner()`."""

    def __init__(self, exchange: Hub) -> None:
        self._hub = exchange
        self._runs: dict[UUID, _Run] = {}
        self._closing = False
        self._renewed_at = 0.0
        exchange.on_stop = self.stop_here

    def start_keeping(self) -> None:
        """Begin to save, to renew leases and to look for stops; called once, by `runner()`."""
        keep_doing(self._keep, name="runner: keep")

    def start(self, generation: Generation) -> None:
        """Run a queued generation in this process. Returns at once; who gets the claim decides whether it is ours."""
        if generation.pk in self._runs or self._closing:
            return
        run: _Run
        stream = self._hub.open_stream(generation.pk, attempt=generation.attempt, on_fenced=lambda: run.fence())
        run = self._runs[generation.pk] = _Run(Writing(generation, stream))
        run.whole = spawn(self._run(run), name=f"reply {generation.pk}")

    def stop_here(self, generation_id: UUID) -> None:
        """Stop a generation if this process writes it."""
        if run := self._runs.get(generation_id):
            run.stop()

    def writes(self, generation_id: UUID) -> bool:
        """Whether this process is writing it."""
        return generation_id in self._runs

    async def _run(self, run: _Run) -> None:
        writing = run.writing
        generation = writing.generation
        try:
            if not await in_db(Generation.objects.claim, generation.pk, owner=self._hub.name):
                return
            writing.begin()
            if not writing.stop_wanted and not self._closing:
                run.task = spawn(writing.write(), name=f"write {generation.pk}")
                await asyncio.wait([run.task])
            if not run.fenced:
                await writing.finish(interrupted=self._closing)
        finally:
            await cancel(run.task)
            self._runs.pop(generation.pk, None)
            await self._hub.close_stream(writing.stream)

    async def drain(self, seconds: float) -> None:
        """Let what is being written come to its end, for so long; then end the rest as interrupted, with its text."""
        if writing := [run.whole for run in self._runs.values() if run.whole is not None]:
            log.info("waiting for replies to end", extra={"replies": len(writing), "seconds": seconds})
            await asyncio.wait(writing, timeout=seconds)
        self._closing = True
        for run in self._runs.values():
            if run.task is not None:
                run.task.cancel()
        ending = [run.whole for run in self._runs.values() if run.whole is not None]
        await asyncio.gather(*ending, return_exceptions=True)

    async def _keep(self) -> None:
        await asyncio.sleep(SAVE_EVERY)
        if not self._runs:
            return
        # The lease first: what goes wrong with one reply's text must not cost all of them their worker.
        for step in (self._renew, self._look_for_stops, self._save):
            try:
                await step()
            except DatabaseError as exc:
                log.warning("the database is away; replies are held in memory", extra={"reason": type(exc).__name__})

    async def _renew(self) -> None:
        now = time.monotonic()
        if now - self._renewed_at > settings.LEASE_SECONDS / 3:
            await in_db(recorder.renew_leases, self._hub.name)
            self._renewed_at = now

    async def _save(self) -> None:
        progress: list[Progress] = []
        for generation_id, run in self._runs.items():
            stream = run.writing.stream
            if stream.seq == run.saved_seq or not stream.transcript.parts:
                continue
            message_id = run.writing.generation.message_id
            progress.append(Progress(generation_id, stream.attempt, message_id, stream.seq, stream.transcript.parts))
        if not progress:
            return
        await in_db(recorder.save_progress, progress)
        for saved in progress:
            if (saved_run := self._runs.get(saved.generation_id)) is not None:
                saved_run.saved_seq = saved.seq

    async def _look_for_stops(self) -> None:
        claimed = {i: run for i, run in self._runs.items() if run.task is not None and not run.task.done()}
        ours = await in_db(recorder.still_ours, self._hub.name)
        for generation_id, run in claimed.items():
            asked = ours.get((generation_id, run.writing.stream.attempt))
            if asked:
                run.stop()
            elif asked is None and generation_id in self._runs and run.task is not None and not run.task.done():
                log.warning(
                    "fenced: somebody else has ended or taken this generation", extra={"id": str(generation_id)}
                )
                run.fence()


_runners: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Runner]" = weakref.WeakKeyDictionary()


async def runner() -> Runner:
    """The runner of this process's event loop, started at its first use."""
    loop = asyncio.get_running_loop()
    if loop not in _runners:
        exchange = await hub()
        if loop not in _runners:  # another caller may have been quicker while we waited
            _runners[loop] = Runner(exchange)
            _runners[loop].start_keeping()
    return _runners[loop]
