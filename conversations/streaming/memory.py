"""The replay log in this process's memory: the twin of the one in Redis, for a server that runs alone."""

import time
from collections import OrderedDict
from uuid import UUID

from django.conf import settings

from conversations.streaming.events import Event
from conversations.streaming.log import MOST_BYTES, Entry, Log


class MemoryLog(Log):
    """Entries by generation, dropped some time after the end and, beyond a megabyte, from the front."""

    def __init__(self) -> None:
        self._entries: dict[UUID, list[Entry]] = {}
        self._sizes: dict[UUID, int] = {}
        self._ended: OrderedDict[UUID, float] = OrderedDict()

    async def append(self, entries: list[Entry]) -> list[Entry]:
        refused = []
        for entry in entries:
            kept = self._entries.setdefault(entry.generation_id, [])
            if kept and (kept[-1].attempt, kept[-1].seq) >= (entry.attempt, entry.seq):
                refused.append(entry)
                continue
            kept.append(entry)
            size = self._sizes.get(entry.generation_id, 0) + len(entry.data)
            while size > MOST_BYTES and len(kept) > 1:
                size -= len(kept.pop(0).data)
            self._sizes[entry.generation_id] = size
            if entry.last:
                self._ended[entry.generation_id] = time.monotonic() + settings.STREAM_REPLAY_SECONDS
        self._forget()
        return refused

    async def read(self, generation_id: UUID, *, attempt: int, after: int) -> list[Event]:
        self._forget()
        kept = self._entries.get(generation_id, [])
        return [event for entry in kept if (entry.attempt, entry.seq) > (attempt, after) for event in entry.events]

    async def ends(self, generation_ids: list[UUID]) -> list[tuple[int, int] | None]:
        found = [self._entries.get(generation_id) for generation_id in generation_ids]
        return [(kept[-1].attempt, kept[-1].seq) if kept else None for kept in found]

    def _forget(self) -> None:
        now = time.monotonic()
        while self._ended and next(iter(self._ended.values())) < now:
            generation_id, _ = self._ended.popitem(last=False)
            self._entries.pop(generation_id, None)
            self._sizes.pop(generation_id, None)
