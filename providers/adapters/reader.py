"""Reading what a vendor streams, event by event, with bounded patience."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from chatplatform.kernel.outbound import abandon
from providers.adapters.sse import Splitter

# Comments keep a connection alive ("still in the queue"), but not for ever.
SECONDS_OF_COMMENTS = 120.0
# After its last word a vendor may still count the tokens.
SECONDS_FOR_THE_REST = 5.0
# Long enough for the end of a message to arrive behind its last event; a connection read to its end is used again.
SECONDS_FOR_THE_END = 0.25


@dataclass(frozen=True)
class Patience:
    """How many seconds a vendor may take for its headers, for its first token, and then between any two bytes.

    The first two begin with the request.
    """

    headers: float
    first_token: float
    idle: float


PATIENCE = Patience(headers=15.0, first_token=30.0, idle=30.0)
# A model that reasons may send nothing, not even headers, before it has made up its mind.
LONG_PATIENCE = Patience(headers=120.0, first_token=120.0, idle=60.0)


class EventReader:
    """The events of one streamed response. TimeoutError when patience ends; aiohttp's errors when the stream breaks.

    One timer per stream watches the reads and is set again when it rings: a timer for each read would cost a quarter
    of all the work there is for a token that arrives alone.
    """

    def __init__(self, response: aiohttp.ClientResponse, patience: Patience, *, asked_at: float) -> None:
        self._response = response
        self._splitter = Splitter()
        self._loop = asyncio.get_running_loop()
        self._idle = patience.idle
        # When an answer, and not only signs of life, must have come.
        self._answer_by = asked_at + patience.first_token
        self._answering = self._heard = False
        self._waiting_until: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False

    def answering(self) -> None:
        """The first token is there: from now on it is the silence between bytes that counts."""
        self._answering = self._heard = True

    def ending(self) -> None:
        """The last token is there: little patience is left for what follows."""
        self._idle = SECONDS_FOR_THE_REST

    async def events(self) -> list[bytes] | None:
        """The data of the next events, empty if only a part of one came; None at the end of the stream."""
        until = self._answer_by
        if self._answering:
            now = self._loop.time()
            if self._heard:
                self._answer_by = now + SECONDS_OF_COMMENTS
            until = min(now + self._idle, self._answer_by)
        self._waiting_until = until
        if self._timer is None or until < self._timer.when():
            self._set_timer(until)
        try:
            data = await self._response.content.readany()
        except aiohttp.ClientError:
            if self._expired:
                raise TimeoutError from None
            raise
        finally:
            self._waiting_until = None
        if not data:
            return None
        found = self._splitter.feed(data)
        self._heard = bool(found)
        return found

    async def end(self) -> None:
        """Read the end of the message if it is near, so that the connection can be used again."""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(SECONDS_FOR_THE_END):
                await self._response.content.readany()

    def close(self) -> None:
        """Stop watching and let go of the response; what was not read is not wanted any more."""
        if self._timer is not None:
            self._timer.cancel()
        abandon(self._response)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._waiting_until is None:
            return  # nobody waits: the next read sets the timer
        if self._loop.time() < self._waiting_until:
            self._set_timer(self._waiting_until)
        else:
            self._expired = True
            abandon(self._response)
