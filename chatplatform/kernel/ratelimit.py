"""Limits: so many of one thing in so long a time, counted in Redis when there is one and in this process otherwise.

The arithmetic is the `limits` library's moving window; the numbers and their reasons are in each app's `limits.py`.
While Redis is away every process counts by itself: nobody is kept out for it, and nobody gets in unlimited.
"""

import asyncio
import logging
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from limits import RateLimitItemPerSecond
from limits.aio.strategies import MovingWindowRateLimiter as AsyncMovingWindow
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter
from redis.exceptions import RedisError

from chatplatform.kernel import redis
from chatplatform.kernel.errors import RateLimited

log = logging.getLogger(__name__)

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86400


_making = threading.Lock()


def _counters(url: str) -> MovingWindowRateLimiter:
    """The counters in the Redis at `url`, or with no address this process's own."""
    with _making:  # threads that come first together must not each get counters of their own
        return _made(url)


@cache
def _made(url: str) -> MovingWindowRateLimiter:
    if not url:
        return MovingWindowRateLimiter(MemoryStorage())
    patience = {"socket_timeout": redis.ANSWER_SECONDS, "socket_connect_timeout": redis.ANSWER_SECONDS}
    return MovingWindowRateLimiter(storage_from_string(url, **patience))


_limiters: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncMovingWindow]" = weakref.WeakKeyDictionary()


def _async() -> AsyncMovingWindow:
    """The running loop's limiter, on the connections of its Redis client."""
    loop = asyncio.get_running_loop()
    if loop not in _limiters:
        storage = storage_from_string(
            f"async+{settings.REDIS_URL}",
            implementation="redispy",
            connection_pool=redis.client().connection_pool,  # type: ignore[arg-type]
        )
        _limiters[loop] = AsyncMovingWindow(storage)
    return _limiters[loop]


def forget_everything() -> None:
    """Drop all counters and connections; between tests."""
    if _made.cache_info().currsize:
        with suppress(RedisError):
            _counters(settings.REDIS_URL).storage.reset()
    _made.cache_clear()
    _limiters.clear()


@dataclass(frozen=True)
class Limit:
    """`amount` per `per` seconds for whatever `name` names. `hit()` counts one and raises RateLimited when full."""

    name: str
    amount: int
    per: int

    @property
    def _item(self) -> RateLimitItemPerSecond:
        return RateLimitItemPerSecond(self.amount, self.per)

    def _refusal(self, stats: Any) -> RateLimited:
        return RateLimited(retry_after=max(0.0, stats.reset_time - time.time()))

    def _hit(self, counters: MovingWindowRateLimiter) -> None:
        if not counters.hit(self._item, self.name):
            raise self._refusal(counters.get_window_stats(self._item, self.name))

    def _check(self, counters: MovingWindowRateLimiter) -> None:
        if not counters.test(self._item, self.name):
            raise self._refusal(counters.get_window_stats(self._item, self.name))

    def hit(self) -> None:
        """Count one; RateLimited with `retry_after` if there is no room. For sync code."""
        try:
            self._hit(_counters(settings.REDIS_URL))
        except RedisError as exc:
            self._hit(_without_redis(exc))

    def check(self) -> None:
        """RateLimited if there is no room, without counting: for limits on failures. For sync code."""
        try:
            self._check(_counters(settings.REDIS_URL))
        except RedisError as exc:
            self._check(_without_redis(exc))

    async def ahit(self) -> None:
        """`hit()` for async code."""
        if not settings.REDIS_URL:
            self.hit()  # this process's own counters: nothing to wait for
            return
        try:
            if not await _async().hit(self._item, self.name):
                raise self._refusal(await _async().get_window_stats(self._item, self.name))
        except RedisError as exc:
            self._hit(_without_redis(exc))


def _without_redis(exc: RedisError) -> MovingWindowRateLimiter:
    log.warning("Redis is away; this process counts by itself", extra={"reason": type(exc).__name__})
    return _counters("")
