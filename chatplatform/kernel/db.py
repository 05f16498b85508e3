"""The single crossing from async code to sync database code.

Consumers, the hub and the runners live on the event loop; the ORM does not. `in_db(function, …)` runs a function that
may use the ORM in one of a few threads of our own: `sync_to_async`'s default shares a single thread among all sockets
of a process, so that one slow query would stall every one of them.
"""

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections, connections

P = ParamSpec("P")
R = TypeVar("R")

_threads: ThreadPoolExecutor | None = None


def _pool() -> ThreadPoolExecutor:
    global _threads
    if _threads is None:
        _threads = ThreadPoolExecutor(max_workers=settings.DATABASE_THREADS, thread_name_prefix="db")
    return _threads


def _with_connections(function: Callable[[], R]) -> R:
    close_old_connections()
    try:
        return function()
    finally:
        close_old_connections()


async def in_db(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `function` in a database thread and return what it returns; its exceptions come through.

    A cancelled caller does not cancel the thread: what was begun in the database is finished there.
    """
    context = contextvars.copy_context()
    call = functools.partial(function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_pool(), context.run, _with_connections, call)


def close_pool() -> None:
    """Close the threads and their connections; at shutdown, and between tests."""
    global _threads
    if _threads is None:
        return
    pool, _threads = _threads, None
    for _ in range(settings.DATABASE_THREADS):
        pool.submit(connections.close_all)
    pool.shutdown(wait=True)
