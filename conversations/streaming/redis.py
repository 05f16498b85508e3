"""The replay log in Redis: one stream per generation, shared by all workers.

An entry's id is `<attempt>-<seq>`. Redis refuses an id that is not above the top one, and so refuses by itself what a
worker that was taken for dead still tries to write under its old attempt.
"""

from collections import deque
from typing import Any
from uuid import UUID

from django.conf import settings
from redis.exceptions import ResponseError

from chatplatform.kernel import redis
from conversations.streaming.events import Event, decode
from conversations.streaming.log import MOST_BYTES, Entry, Log

MOST_ENTRIES = 2000
# How long past its time limit a running generation's log is kept: nobody reads it later, and every key must end.
SLACK_SECONDS = 600
REFUSED = "equal or smaller"


class RedisLog(Log):
    def __init__(self) -> None:
        # What this process appended to each stream and how large it was, to trim by bytes and to know the first time.
        self._sizes: dict[UUID, deque[tuple[str, int]]] = {}
        self._totals: dict[UUID, int] = {}

    async def append(self, entries: list[Entry]) -> list[Entry]:
        pipe = redis.client().pipeline(transaction=False)
        places = []
        commands = 0
        for entry in entries:
            key, entry_id = redis.replay_log(str(entry.generation_id)), f"{entry.attempt}-{entry.seq}"
            first = entry.generation_id not in self._totals
            pipe.xadd(key, {"e": entry.data}, id=entry_id, maxlen=MOST_ENTRIES, approximate=True)
            places.append(commands)
            commands += 1
            if oldest := self._trim(entry, entry_id):
                pipe.xtrim(key, minid=oldest, approximate=False)
                commands += 1
            if first or entry.last:
                pipe.expire(
                    key, settings.STREAM_REPLAY_SECONDS if entry.last else settings.GENERATION_SECONDS + SLACK_SECONDS
                )
                commands += 1
        answers = await pipe.execute(raise_on_error=False)
        refused = []
        for entry, place in zip(entries, places, strict=True):
            answer = answers[place]
            if isinstance(answer, ResponseError) and REFUSED in str(answer):
                refused.append(entry)
            elif isinstance(answer, Exception):
                raise answer
        return refused

    def forget(self, generation_id: UUID) -> None:
        self._sizes.pop(generation_id, None)
        self._totals.pop(generation_id, None)

    def _trim(self, entry: Entry, entry_id: str) -> str | None:
        """Note the entry's size; the id of the oldest one to keep, if the stream has grown too large."""
        sizes = self._sizes.setdefault(entry.generation_id, deque())
        sizes.append((entry_id, len(entry.data)))
        total = self._totals.get(entry.generation_id, 0) + len(entry.data)
        trimmed = False
        while total > MOST_BYTES and len(sizes) > 1:
            total -= sizes.popleft()[1]
            trimmed = True
        self._totals[entry.generation_id] = total
        return sizes[0][0] if trimmed else None

    async def read(self, generation_id: UUID, *, attempt: int, after: int) -> list[Event]:
        key = redis.replay_log(str(generation_id))
        kept: Any = await redis.client().xrange(key, min=f"({attempt}-{after}")
        return [event for _, fields in kept for event in decode(fields[b"e"])]

    async def ends(self, generation_ids: list[UUID]) -> list[tuple[int, int] | None]:
        pipe = redis.client().pipeline(transaction=False)
        for generation_id in generation_ids:
            pipe.xrevrange(redis.replay_log(str(generation_id)), count=1)
        answers: list[Any] = await pipe.execute()
        return [_numbers(answer[0][0]) if answer else None for answer in answers]


def _numbers(entry_id: bytes) -> tuple[int, int]:
    attempt, seq = entry_id.split(b"-")
    return int(attempt), int(seq)
