"""The promise of a replay log: what was numbered can be read again from a number."""

from abc import ABC, abstractmethod
from uuid import UUID

import msgspec

from conversations.streaming.events import Event, decode

# Of one generation's events, in the form in which they are kept. A longer reply loses its head here, and whoever comes
# back from that far gets a snapshot instead.
MOST_BYTES = 1024 * 1024


class Entry(msgspec.Struct, frozen=True):
    """Some events of one generation that were appended together; named by the number of the last one."""

    generation_id: UUID
    attempt: int
    seq: int
    data: bytes
    last: bool = False

    @property
    def events(self) -> list[Event]:
        return decode(self.data)


class Log(ABC):
    """Numbered events, kept for a while after the end. At no time does it hold entries out of order."""

    @abstractmethod
    async def append(self, entries: list[Entry]) -> list[Entry]:
        """Append, and return those that were refused because a later number, or a later attempt, is already there."""

    @abstractmethod
    async def read(self, generation_id: UUID, *, attempt: int, after: int) -> list[Event]:
        """Every event kept that comes after number `after` of `attempt`, later attempts included. Holes are possible:
        the reader checks the numbers."""

    @abstractmethod
    async def ends(self, generation_ids: list[UUID]) -> list[tuple[int, int] | None]:
        """For each generation the attempt and number of its last entry; None where nothing is kept."""

    def forget(self, generation_id: UUID) -> None:  # noqa: B027 - most have nothing to forget
        """This process appends no more to it; what is kept stays readable for its time."""
