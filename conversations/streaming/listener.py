"""One reader's end of a reply: in order, without holes, from whatever number it left off."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self
from uuid import UUID

from conversations.streaming.events import Event, Snapshot

if TYPE_CHECKING:
    from conversations.streaming.hub import Hub

# Events that may wait for a slow reader before it is sent to the log instead; memory per reader is bounded by it.
MOST_WAITING = 2000

Standing = Callable[[], Awaitable[Snapshot]]


class Listener:
    """One reader of a generation, from a number on. Opened with `async with`, read with `await read()`.

    What it gives, in order and without holes: lists of events, or a `Snapshot` where the log does not reach.
    """

    def __init__(self, hub: "Hub", generation_id: UUID, *, attempt: int, after: int, standing: Standing) -> None:
        self.generation_id = generation_id
        self.attempt = attempt
        self.last = after
        self.recovered = True
        self.ended = False
        self._hub = hub
        self._standing = standing
        self._arrived: list[Event] = []
        self._behind = False
        self._waiting: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        await self._hub.enter(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._hub.leave(self)

    def push(self, event: Event) -> None:
        """Take a live event; cheap and never blocks. A reader that is far behind is sent to the log instead."""
        if len(self._arrived) < MOST_WAITING:
            self._arrived.append(event)
        else:
            self._arrived.clear()
            self._behind = True
        self._wake()

    def nudge(self) -> None:
        """Something may have been missed: look at the log."""
        self._behind = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def read(self) -> list[Event | Snapshot]:
        """Wait for what comes next. Empty once, at the most, when a look at the log found nothing new."""
        if not self._arrived and not self._behind:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        arrived, self._arrived = self._arrived, []
        items, whole = self._take(arrived)
        if (self._behind or not whole) and not self.ended:
            items += await self.catch_up()
        return items

    async def catch_up(self) -> list[Event | Snapshot]:
        """Everything after `last` that is kept: from the log, or as a snapshot if the log has lost its beginning."""
        self._behind = False
        stream = self._hub.stream(self.generation_id)
        # Taken before the log is read: what is flushed in between is then in both, and in neither never.
        unflushed = stream.unflushed() if stream else []
        kept = await self._hub.kept(self.generation_id, attempt=self.attempt, after=self.last)
        items, whole = self._take(kept + unflushed)
        fresh = bool(items)
        # Number 1 is known to whoever was accepted, even before the writer has begun.
        if stream and (stream.attempt, max(stream.seq, 1)) < (self.attempt, self.last):
            self.attempt, self.last, whole = 0, 0, False  # a number that was never given out
        if self.ended or (whole and stream):
            return items
        if whole and fresh and self._hub.knows_owner(self.generation_id):
            return items
        snapshot = stream.snapshot() if stream else await self._standing()
        self._hub.heard_of_owner(self.generation_id, snapshot.owner)
        if whole and fresh:
            return items
        if (snapshot.attempt, snapshot.seq) > (self.attempt, self.last) or snapshot.last:
            self.recovered = False
            self.attempt, self.last = snapshot.attempt, snapshot.seq
            self.ended = snapshot.last is not None
            items.append(snapshot)
        return items

    def _take(self, events: list[Event]) -> tuple[list[Event | Snapshot], bool]:
        """Those that continue what was read, and whether that was all: False where a number is missing."""
        fresh: list[Event | Snapshot] = []
        for event in events:
            if event.attempt < self.attempt or (event.attempt == self.attempt and event.seq <= self.last):
                continue
            if event.attempt > self.attempt:
                # A listener from the very start may begin with any attempt; one that has read must take a snapshot.
                if self.last or event.first != 1:
                    return fresh, False
                self.attempt = event.attempt
            if event.first > self.last + 1:
                return fresh, False
            self.last = event.seq
            self.ended = event.is_last
            fresh.append(event)
        return fresh, True
