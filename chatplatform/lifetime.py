"""What a serving process does besides answering, from its first connection to its last breath."""

import asyncio
import gc

from django.conf import settings

from chatplatform.kernel import background, db, health, outbound, redis, tasks
from chatplatform.kernel.background import spawn
from conversations.generation.reaper import start_reaping
from conversations.generation.runner import runner
from conversations.realtime.sockets import sockets

_begun: asyncio.AbstractEventLoop | None = None


def begin() -> None:
    """Called with every scope, on the server's event loop; does its work once.

    Names the loop to the job threads, begins to look for replies that a dead worker left behind, and takes what was
    loaded at start-up out of the garbage collector's rounds: walking it again for every few thousand new objects is a
    quarter of what a handshake costs.
    """
    global _begun
    loop = asyncio.get_running_loop()
    if loop is _begun:
        return
    _begun = loop
    tasks.attach(loop)
    spawn(start_reaping(), name="start the reaper")
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)


async def leave() -> None:
    """End in order, before the server closes its sockets; both servers call it when they are told to stop.

    1. `/health/ready` says no, new turns are refused: a proxy sends nobody here any more.
    2. Every socket is told to come back, to another worker or to the next process, and closed.
    3. Replies may go on for `DRAIN_SECONDS`: whoever asked reads them from there. What is left is kept as interrupted.
    4. Tasks end and connections close.
    """
    health.leave_rotation()
    await sockets.send_away()
    await (await runner()).drain(settings.DRAIN_SECONDS)
    await background.cancel_all()
    await outbound.close()
    await redis.close()
    await asyncio.to_thread(db.close_pool)
