"""One Redis client per URL and event loop, and the key names in use with their shapes.

| key | type | holds |
|---|---|---|
| `gen:{generation_id}` | stream | the replay log of a generation; entry ids are `<attempt>-<seq>` |
| `LIMITS:…` | string | counters of the `limits` library |
| `cp:cache:…` | string | Django's cache: socket tickets |
"""

import asyncio
import weakref

from django.conf import settings
from redis.asyncio import Redis

# None of our commands waits on purpose: one that takes longer than this has no answer coming.
ANSWER_SECONDS = 5.0

_clients: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Redis]" = weakref.WeakKeyDictionary()


def client() -> Redis:
    """The running loop's client for `REDIS_URL`. Commands fail after `ANSWER_SECONDS`."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            health_check_interval=30,
        )
    return _clients[loop]


async def close() -> None:
    """Close the running loop's client, if there is one."""
    if (redis := _clients.pop(asyncio.get_running_loop(), None)) is not None:
        await redis.aclose()


def replay_log(generation_id: str) -> str:
    """The key of a generation's replay log."""
    return f"gen:{generation_id}"
