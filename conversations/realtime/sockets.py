"""All sockets of this process: how many there may be, whether they still live, and how they are sent away."""

import asyncio
import time
import weakref
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import DatabaseError

from accounts.authentication import devices_signed_in
from chatplatform.kernel.background import keep_doing, spawn
from chatplatform.kernel.db import in_db
from conversations import limits

if TYPE_CHECKING:
    from conversations.realtime.consumer import ChatConsumer

# Seconds of silence after which a socket is dropped: two missed heartbeats and a slow network.
SILENCE = 70.0
# How often every socket is looked at: whether it still lives, and whether its person is still signed in.
LOOK_EVERY = 5.0

# A reader that takes nothing would hold up its own farewell for ever.
FAREWELL_SECONDS = 3.0

GOING_AWAY, RESTART, TRY_AGAIN, BAD, NOT_SIGNED_IN, TOO_SLOW, TOO_MANY = 1001, 1012, 1013, 4400, 4401, 4408, 4429
"""Why a socket is closed, as its client sees it."""


class Sockets:
    """The process's open sockets."""

    def __init__(self) -> None:
        self._open: set[ChatConsumer] = set()
        self._by_address: Counter[str] = Counter()
        self._unsigned: set[ChatConsumer] = set()
        self._by_person: Counter[UUID] = Counter()
        self._watching: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()

    def enter(self, socket: "ChatConsumer", *, unsigned: bool) -> bool:
        """Count a socket that was just opened, `unsigned` if it brought no token. False if there are too many."""
        if self._by_address[socket.address] >= limits.SOCKETS_PER_ADDRESS:
            return False
        if unsigned:
            here = sum(other.address == socket.address for other in self._unsigned)
            if len(self._unsigned) >= limits.UNSIGNED_SOCKETS or here >= limits.UNSIGNED_PER_ADDRESS:
                return False
            self._unsigned.add(socket)
        self._open.add(socket)
        self._by_address[socket.address] += 1
        loop = asyncio.get_running_loop()
        if loop not in self._watching:
            self._watching.add(loop)
            keep_doing(self._look, name="sockets: silence and sign-ins")
        return True

    def sign_in(self, socket: "ChatConsumer", person: UUID) -> bool:
        """Count it as this person's. False if they have too many."""
        if self._by_person[person] >= limits.SOCKETS_PER_PERSON:
            return False
        self._unsigned.discard(socket)
        self._by_person[person] += 1
        return True

    def leave(self, socket: "ChatConsumer") -> None:
        """It is closed."""
        if socket not in self._open:
            return
        self._open.discard(socket)
        self._unsigned.discard(socket)
        self._by_address[socket.address] -= 1
        if not self._by_address[socket.address]:
            del self._by_address[socket.address]
        if socket.signed is not None:
            person = socket.signed.user.pk
            self._by_person[person] -= 1
            if not self._by_person[person]:
                del self._by_person[person]

    async def send_away(self) -> None:
        """This process is about to end: tell every client to come back, and close. Nobody is waited for long."""
        farewells = [asyncio.wait_for(socket.send_away(), FAREWELL_SECONDS) for socket in tuple(self._open)]
        await asyncio.gather(*farewells, return_exceptions=True)

    def _drop(self, socket: "ChatConsumer", code: int) -> None:
        """Close one; not waited for, because a reader that has stalled holds up its own close."""

        async def close() -> None:
            with suppress(TimeoutError):
                await asyncio.wait_for(socket.close(code), FAREWELL_SECONDS)

        spawn(close(), name="close a socket")

    async def _look(self) -> None:
        await asyncio.sleep(LOOK_EVERY)
        now = time.monotonic()
        for socket in tuple(self._open):
            if now - socket.heard_at > SILENCE:
                self._drop(socket, GOING_AWAY)
        with suppress(DatabaseError):  # nobody is signed out because the database is away
            await self._drop_the_signed_out()

    async def _drop_the_signed_out(self) -> None:
        signed = {socket: socket.signed.device_id for socket in self._open if socket.signed is not None}
        valid = await in_db(devices_signed_in, set(signed.values()))
        for socket, device_id in signed.items():
            if device_id not in valid:
                self._drop(socket, NOT_SIGNED_IN)


sockets = Sockets()
