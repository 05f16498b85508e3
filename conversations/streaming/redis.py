"""The replay log in Redis: one stream per generation, shared by all workers.

An entry's id is `<attempt>-<seq>`. Redis refuses an id that is not above the top one, and so refuses by itself what a
worker that was taken for dead still tries to write under its old attempt.
"""

from collections import deque
from typing import Any
from uuid import UUID

from django.conf import settings

from chatplatform.kernel import redis
from conversations.streaming.events import Event, decode
from conversations.streaming.log import MOST_BYTES, Entry, Log

MOST_ENTRIES = 2000
# How long past its time limit a running generation's log is kept: nobody reads it later, and every key must end.
SLACK_SECONDS = 600

# One entry for each key: its id, its events, the oldest id to keep and the seconds to live, or nothing. Returns the
# places of those that were refused. One command for all, because it is the answers that cost: reading one takes longer
# than Redis takes to append.
APPEND = f"""
local refused = {{}}
for place, key in ipairs(KEYS) do
    local id, events, oldest, seconds = unpack(ARGV, 4 * place - 3, 4 * place)
    local answer = redis.pcall('XADD', key, 'MAXLEN', '~', {MOST_ENTRIES}, id, 'e', events)
    if type(answer) == 'table' and answer.err then
        if not string.find(answer.err, 'equal or smaller', 1, true) then return answer end
        table.insert(refused, place)
    end
    if oldest ~= '' then redis.call('XTRIM', key, 'MINID', oldest) end
    if seconds ~= '' then redis.call('EXPIRE', key, seconds) end
end
return refused
"""


class RedisLog(Log):
    def __init__(self) -> None:
        # What this process appended to each stream and how large it was, to trim by bytes and to know the first time.
        self._sizes: dict[UUID, deque[tuple[str, int]]] = {}
        self._totals: dict[UUID, int] = {}

    async def append(self, entries: list[Entry]) -> list[Entry]:
        keys, arguments = [], []
        for entry in entries:
            seconds: int | str = ""
            if entry.last:
                seconds = settings.STREAM_REPLAY_SECONDS
            elif entry.generation_id not in self._totals:
                seconds = settings.GENERATION_SECONDS + SLACK_SECONDS
            entry_id = f"{entry.attempt}-{entry.seq}"
            keys.append(redis.replay_log(str(entry.generation_id)))
            arguments += [entry_id, entry.data, self._trim(entry, entry_id), seconds]
        refused = await redis.client().register_script(APPEND)(keys=keys, args=arguments)
        return [entries[place - 1] for place in refused]

    def forget(self, generation_id: UUID) -> None:
        self._sizes.pop(generation_id, None)
        self._totals.pop(generation_id, None)

    def _trim(self, entry: Entry, entry_id: str) -> str:
        """Note the entry's size; the id of the oldest one to keep, empty unless the stream has grown too large."""
        sizes = self._sizes.setdefault(entry.generation_id, deque())
        sizes.append((entry_id, len(entry.data)))
        total = self._totals.get(entry.generation_id, 0) + len(entry.data)
        trimmed = False
        while total > MOST_BYTES and len(sizes) > 1:
            total -= sizes.popleft()[1]
            trimmed = True
        self._totals[entry.generation_id] = total
        return sizes[0][0] if trimmed else ""

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
