"""The dialect of `/ws/chat`: every frame in and out, and nothing else.

In and out a frame is `{"type": …, "id"?: …, "data": {…}}`. `id` is the client's own; the answer to a request carries
it.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec

from chatplatform.kernel import errors
from chatplatform.kernel.words import words
from conversations.generation.engine import CONTINUED
from conversations.models import Generation
from conversations.streaming.events import MOST_CHARACTERS, Event, Snapshot, merged, utf16_length
from providers.routing.router import NOTICES as ROUTING_NOTICES

PROTOCOL = 1
# Seconds between a client's pings; well under what proxies and phones allow an idle connection.
HEARTBEAT = 25
# Bytes of one frame from a client.
MOST_BYTES = 64 * 1024


class Incoming(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what a client may send."""


class Auth(Incoming, frozen=True, forbid_unknown_fields=True):
    """Sign in, or stay signed in with a fresh token."""

    token: str


class Params(Incoming, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the model is asked to choose its words."""

    temperature: "float | None" = None
    top_p: "float | None" = None
    max_tokens: "int | None" = None

    def __post_init__(self) -> None:
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise ValueError("temperature must be between 0 and 2")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError("top_p must be above 0 and at most 1")
        if self.max_tokens is not None and not 1 <= self.max_tokens <= 1_000_000:
            raise ValueError("max_tokens must be between 1 and 1000000")


def given(params: Params) -> dict[str, Any]:
    """What was set, as it is stored with the generation."""
    return {name: value for name, value in msgspec.structs.asdict(params).items() if value is not None}


class Message(Incoming, frozen=True, forbid_unknown_fields=True):
    """Say something; without a session, in a new one."""

    content: str
    session_id: "UUID | None" = None
    model_id: "str | None" = None
    client_message_id: "str | None" = None
    parent_id: "UUID | None" = None
    params: Params = Params()


class Continue(Incoming, frozen=True, forbid_unknown_fields=True):
    """Go on from where a reply was stopped, cut off or ran out of room, with the same model or another one."""

    message_id: UUID
    model_id: "str | None" = None


class Stop(Incoming, frozen=True, forbid_unknown_fields=True):
    """Stop one generation, or whatever runs in a session."""

    session_id: "UUID | None" = None
    generation_id: "UUID | None" = None

    def __post_init__(self) -> None:
        if (self.session_id is None) == (self.generation_id is None):
            raise ValueError("give session_id or generation_id")


class Resume(Incoming, frozen=True, forbid_unknown_fields=True):
    """Read on after number `after` of `attempt`; with a session, whatever runs or ran there last."""

    generation_id: "UUID | None" = None
    session_id: "UUID | None" = None
    attempt: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        if (self.session_id is None) == (self.generation_id is None):
            raise ValueError("give session_id or generation_id")
        if self.attempt < 0 or self.after < 0:
            raise ValueError("attempt and after are not negative")


class Ack(Incoming, frozen=True, forbid_unknown_fields=True):
    """Everything of a generation up to this number has been taken in. Once a second or every 32 events: whoever
    acknowledges gets as much as they can read."""

    generation_id: UUID
    seq: int

    def __post_init__(self) -> None:
        if self.seq < 0:
            raise ValueError("seq is not negative")


class Follow(Incoming, frozen=True, forbid_unknown_fields=True):
    """See a session live, whichever device speaks in it."""

    session_id: UUID


class Unfollow(Incoming, frozen=True, forbid_unknown_fields=True):
    """Stop seeing it."""

    session_id: UUID


class Ping(Incoming, frozen=True, forbid_unknown_fields=True):
    """Anything there?"""


Request = Auth | Message | Continue | Stop | Resume | Ack | Follow | Unfollow | Ping

INCOMING: dict[str, type[Request]] = {
    "auth": Auth,
    "message": Message,
    "continue": Continue,
    "stop": Stop,
    "resume": Resume,
    "ack": Ack,
    "follow": Follow,
    "unfollow": Unfollow,
    "ping": Ping,
}


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    id: "str | int | None" = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


_envelope = msgspec.json.Decoder(_Envelope)
_bodies = {name: msgspec.json.Decoder(kind) for name, kind in INCOMING.items()}
_encode = msgspec.json.Encoder().encode

RequestId = str | int | None


def parse(text: str | bytes) -> tuple[RequestId, Request]:
    """A client's frame, or BadFrame; `BadFrame.details["id"]` names the request where it could be read."""
    if len(text) > MOST_BYTES or (isinstance(text, str) and len(text.encode(errors="replace")) > MOST_BYTES):
        raise errors.TooLarge(limit=MOST_BYTES)
    try:
        envelope = _envelope.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise errors.BadFrame(problem=_problem(exc)) from None
    if isinstance(envelope.id, str) and len(envelope.id) > 64:
        raise errors.BadFrame(problem="id is longer than 64 characters")
    body = _bodies.get(envelope.type)
    if body is None:
        raise errors.BadFrame(id=envelope.id, problem="unknown type", known=sorted(INCOMING))
    try:
        return envelope.id, body.decode(bytes(envelope.data))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise errors.BadFrame(id=envelope.id, problem=_problem(exc)) from None


def _problem(exc: Exception) -> str:
    """What the decoder found wrong: it names fields and kinds, and at the most repeats an unknown field's name."""
    return str(exc)[:200] if isinstance(exc, msgspec.ValidationError) else "not JSON"


def frame(kind: str, data: dict[str, Any], request_id: RequestId = None) -> str:
    """A frame from the server."""
    named = {"type": kind} if request_id is None else {"type": kind, "id": request_id}
    return _encode({**named, "data": data}).decode()


def error(exc: errors.AppError, request_id: RequestId = None, **more: Any) -> str:
    """An error frame, in the active language. The socket stays open."""
    return frame("error", {**exc.as_dict(), "retryable": exc.retryable, **more}, request_id)


class About:
    """What the frames of one generation repeat: which message, session and model they are about."""

    def __init__(self, generation: Generation) -> None:
        self.generation_id = str(generation.pk)
        self.message_id = str(generation.message_id)
        self.session_id = str(generation.conversation_id)
        self.model = generation.model.qualified_name if generation.model else None
        self._about = {"generation_id": self.generation_id, "message_id": self.message_id, "model": self.model}
        # A stream frame up to its numbers, written once: there are thousands of them.
        self._head = '{"type":"stream","data":' + _encode(self._about).decode()[:-1]

    def stream(self, event: Event) -> str:
        """A delta as a `stream` frame."""
        return (
            f'{self._head},"attempt":{event.attempt},"first":{event.first},"seq":{event.seq},'
            f'"part":"{event.part}","off":{event.off},"content":{_encode(event.text).decode()}}}}}'
        )

    def of(self, event: Event, request_id: RequestId = None) -> Iterator[str]:
        """The frames that say what an event says."""
        if event.is_delta:
            yield self.stream(event)
            return
        numbers = {"generation_id": self.generation_id, "attempt": event.attempt, "seq": event.seq}
        match event.type:
            case "accepted":
                yield frame("accepted", {**event.data, **numbers}, request_id)
                yield frame(
                    "typing", {"session_id": self.session_id, "message_id": self.message_id, "model": self.model}
                )
            case "done":
                data = {**self._about, "content": "", **event.data, **numbers}
                if code := event.data.get("error"):
                    data["error"] = errors.in_words(code)
                yield frame("done", data)
            case "notice":
                yield frame("notice", {**event.data, **numbers, "message": notice_text(event.data["code"])})
            case kind:
                yield frame(kind, {**event.data, **numbers})

    def snapshot(self, snapshot: Snapshot) -> Iterator[str]:
        """A snapshot in pieces under the frame limit, the final one marked, and the terminal frame if it has ended."""
        common = {
            "generation_id": self.generation_id,
            "message_id": self.message_id,
            "attempt": snapshot.attempt,
            # The terminal frame follows under its own number.
            "seq": snapshot.seq - 1 if snapshot.last else snapshot.seq,
            "status": snapshot.status,
        }
        pieces = list(_pieces(snapshot.parts)) or [("text", 0, "")]
        for number, (part, off, text) in enumerate(pieces, start=1):
            yield frame("snapshot", {**common, "part": part, "off": off, "text": text, "last": number == len(pieces)})
        if snapshot.last:
            yield from self.of(snapshot.last)

    def all_of(self, items: list[Event | Snapshot]) -> Iterator[tuple[int, str]]:
        """The frames for what a listener gave, adjacent deltas merged, each with the number that it reaches to."""
        events: list[Event] = []
        for item in items:
            if isinstance(item, Event):
                events.append(item)
                continue
            yield from self._numbered(events)
            events.clear()
            for text in self.snapshot(item):
                yield item.seq, text
        yield from self._numbered(events)

    def _numbered(self, events: list[Event]) -> Iterator[tuple[int, str]]:
        for event in merged(events) if len(events) > 1 else events:
            for text in self.of(event):
                yield event.seq, text


def _pieces(parts: list[dict[str, str]]) -> Iterator[tuple[str, int, str]]:
    offsets: dict[str, int] = {}
    for part in parts:
        kind, text = part["type"], part["text"]
        for start in range(0, len(text), MOST_CHARACTERS):
            piece = text[start : start + MOST_CHARACTERS]
            offset = offsets.get(kind, 0)
            yield kind, offset, piece
            offsets[kind] = offset + utf16_length(piece)


NOTICES = {
    CONTINUED: words("The reply goes on from here.", "以下为接续的内容。"),
    "stopping": words("Stopping.", "正在停止。"),
    "nothing_to_stop": words("Nothing is being written here.", "当前没有正在生成的回复。"),
} | {notice.code: notice.message for notice in ROUTING_NOTICES}


def notice_text(code: str) -> str:
    """A notice in the active language; an unknown one is shown by its code."""
    return str(NOTICES.get(code, code))
