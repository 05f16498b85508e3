"""Tasks with an owner: every one has a name, a log line when it fails, and a wait at shutdown."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

_running: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
    """Start `work` as a task that is kept alive and whose failure is logged. The caller may cancel or await it."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def keep_doing(step: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> asyncio.Task[Any]:
    """Do `step` again and again until the task is cancelled. A step that fails is logged, and the next one comes a
    second later: a loop that everybody depends on does not end by one defect."""

    async def loop() -> None:
        while True:
            try:
                await step()
            except Exception:
                log.exception("a step of a background loop failed", extra={"task": name})
                await asyncio.sleep(1)

    return spawn(loop(), name=name)


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (failure := task.exception()) is not None:
        log.error("background task failed", extra={"task": task.get_name()}, exc_info=failure)


# A library that turns a cancellation into an error of its own swallows it; the task then goes on and is told again.
TRIES, SECONDS_PER_TRY = 10, 1.0


async def cancel(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel `tasks` and wait until they have ended; None and already ended ones are fine."""
    waiting = {task for task in tasks if task is not None and task is not asyncio.current_task()}
    for _ in range(TRIES):
        if not waiting:
            return
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=SECONDS_PER_TRY)
    for task in waiting:
        log.error("a task does not let itself be cancelled", extra={"task": task.get_name()})


async def cancel_all() -> None:
    """Cancel every task of the running loop that was spawned here; the last step of a shutdown."""
    loop = asyncio.get_running_loop()
    await cancel(*[task for task in _running if task.get_loop() is loop])
