"""Background jobs, and the one way from a thread into the server's event loop.

Jobs run on huey (`huey.contrib.djhuey`): each app's jobs are in its `tasks.py`, the table of periodic ones is
`chatplatform/jobs.py`. Its consumer runs as a process of its own (`manage.py run_huey`) or, for a single-process
start, in threads inside the server (`consume_inside()`).

A job thread, and sync code in general, must never touch the hub or the channel layer itself: they belong to the event
loop, and a message sent from a loop of one's own reaches its reader seconds late. `post()` is the only way.
"""

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable
from typing import Any

from huey.consumer import Consumer
from huey.contrib.djhuey import HUEY

from chatplatform.kernel.background import spawn

log = logging.getLogger(__name__)

_loop: asyncio.AbstractEventLoop | None = None
_starting = threading.Lock()


def attach(loop: asyncio.AbstractEventLoop) -> None:
    """Name the server's event loop; the ASGI application does it with its first scope."""
    global _loop
    _loop = loop


def _loop_for_posting() -> asyncio.AbstractEventLoop:
    """The server's loop; in a process without a server (a job worker, a command), one in a thread of its own."""
    global _loop
    with _starting:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="event loop for posts", daemon=True).start()
        return _loop


def post(call: Callable[..., Any], *arguments: Any) -> None:
    """Have `call(*arguments)` run on the server's event loop, soon; a coroutine it returns becomes a task there.

    Callable from any thread; returns at once. What it raises is logged there.
    """

    def run() -> None:
        outcome = call(*arguments)
        if inspect.iscoroutine(outcome):
            spawn(outcome, name=f"posted {getattr(call, '__qualname__', call)}")

    _loop_for_posting().call_soon_threadsafe(run)


class ConsumerInside(Consumer):  # type: ignore[misc]
    """huey's consumer in threads of the server's process, which keeps its own signal handlers."""

    def _set_signal_handlers(self) -> None:
        pass


def consume_inside() -> Consumer:
    """Start huey's threads in this process; the caller calls `stop(graceful=True)` at shutdown."""
    consumer = ConsumerInside(HUEY, workers=1, periodic=True, check_worker_health=False)
    consumer.start()
    log.info("background jobs run inside this process")
    return consumer
