"""How much a socket may be sent before its reader has shown that it reads.

Neither server tells us how far a reader is, and daphne takes whatever it is given into memory. So:

- A client that acknowledges (`ack`) has a window of 256 events and 256 KB for each generation it follows. Beyond it
  nothing more is sent until it acknowledges; what it misses meanwhile waits in the log. After 30 seconds without an
  acknowledgement its socket is closed.
- A client that never does gets 256 KB at once and then 64 KB a second, faster than any model writes. Until its missing
  pong closes the socket, that is about three megabytes.

The writer of a reply never waits for a reader.
"""

import asyncio
import time
from collections import deque

MOST_EVENTS = 256
MOST_BYTES = 256 * 1024
BYTES_PER_SECOND = 64 * 1024
PATIENCE = 30.0


class TooSlow(Exception):
    """The reader has not acknowledged anything for too long."""


class Pace:
    """How fast a socket is sent to whose client does not acknowledge; one for all that it follows."""

    def __init__(self) -> None:
        self._allowance = float(MOST_BYTES)
        self._counted_at = time.monotonic()

    async def keep(self, size: int) -> None:
        """`size` bytes were sent. Returns when more may be."""
        now = time.monotonic()
        earned = (now - self._counted_at) * BYTES_PER_SECOND
        self._allowance = min(MOST_BYTES, self._allowance + earned) - size
        self._counted_at = now
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / BYTES_PER_SECOND)


class Window:
    """What one socket was sent of one generation and has not acknowledged."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._acknowledged: int | None = None
        self._reached = 0
        self._unread: deque[tuple[int, int]] = deque()
        self._unread_bytes = 0
        self._room = asyncio.Event()

    def acknowledge(self, seq: int) -> None:
        """The client has taken in everything up to number `seq`; nobody has taken in more than was sent."""
        seq = min(seq, self._reached)
        self._acknowledged = max(self._acknowledged or 0, seq)
        while self._unread and self._unread[0][0] <= seq:
            self._unread_bytes -= self._unread.popleft()[1]
        self._room.set()

    def reaching(self, seq: int) -> None:
        """What is about to be sent reaches up to number `seq`."""
        self._reached = max(self._reached, seq)

    async def sent(self, seq: int, size: int) -> None:
        """A frame of `size` bytes that reaches to number `seq` was sent. Returns when the next one may be, if the
        client does not acknowledge."""
        if self._acknowledged is None:
            await self._pace.keep(size)
        elif seq > self._acknowledged:
            self._unread.append((seq, size))
            self._unread_bytes += size

    async def room(self) -> None:
        """Returns when a client that acknowledges has room for more; TooSlow if it does not make any."""
        if self._acknowledged is None:
            return
        while self._unread_bytes > MOST_BYTES or self._reached - self._acknowledged > MOST_EVENTS:
            self._room.clear()
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._room.wait()
            except TimeoutError:
                raise TooSlow from None
