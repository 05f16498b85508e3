"""The writer's end of a reply: every piece gets its number here, and goes to everyone at once."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from conversations.streaming.events import Event, Snapshot, Transcript

if TYPE_CHECKING:
    from conversations.streaming.hub import Hub, Topic


class Stream:
    """The writer's end of one attempt of a generation: numbers events and hands them out."""

    def __init__(
        self, hub: "Hub", topic: "Topic", generation_id: UUID, attempt: int, on_fenced: Callable[[], None]
    ) -> None:
        self.generation_id = generation_id
        self.attempt = attempt
        self.seq = 0
        self.transcript = Transcript()
        self.on_fenced = on_fenced
        self.due = 0.0
        self.wanted_until = 0.0
        self.owes_tip = False
        self._hub = hub
        self._topic = topic
        self._pending: list[Event] = []
        self._flushing: list[Event] = []
        self._wrote_text = False
        self.ended = False

    def emit(self, event_type: str, **data: Any) -> Event:
        """Number an event and give it to everyone; callable from the event loop only."""
        self.seq += 1
        event = Event(event_type, self.attempt, self.seq, self.seq, data=data)
        self._give(event)
        if event.is_last:
            self.ended = True
            self.due = 0.0
        return event

    def write(self, part: str, text: str) -> None:
        """Number a piece of text and give it to everyone."""
        offset = self.transcript.add(part, text)
        self.seq += 1
        self._give(Event("delta", self.attempt, self.seq, self.seq, part, text, offset))
        if not self._wrote_text:
            self._wrote_text = True
            self.due = 0.0

    def _give(self, event: Event) -> None:
        for listener in self._topic.listeners:
            listener.push(event)
        self._pending.append(event)
        self._hub.mark(self)

    def unflushed(self) -> list[Event]:
        """Events that the log may not have yet."""
        return self._flushing + self._pending

    def take(self) -> list[Event]:
        """What has gathered since the last flush; it stays in `unflushed()` until `flushed()`."""
        self._flushing, self._pending = self._pending, []
        return self._flushing

    def flushed(self) -> None:
        self._flushing = []

    def snapshot(self) -> Snapshot:
        """The generation as it stands, up to the last number given out."""
        return Snapshot(self.attempt, self.seq, "running", self.transcript.parts, owner=self._hub.name)
