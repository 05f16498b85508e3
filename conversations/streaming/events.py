"""The numbered event, and the text that events add up to.

Every event of a generation has its attempt and a number, `seq`, that starts at 1 in each attempt and has no holes.
Adjacent deltas of one part may be merged on their way: the merged event carries the first number in it, `first`, and
the last, `seq`. `off` is the length of its part, in UTF-16 units as JavaScript counts, before its text.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

# A delta's text is never longer: a frame stays under 32 KB even when every character takes four bytes.
MOST_CHARACTERS = 4000
TEXT = "text"
THINKING = "thinking"


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One numbered event. Deltas use `part`, `text` and `off`; everything else rides in `data`."""

    type: str
    attempt: int
    first: int
    seq: int
    part: str = ""
    text: str = ""
    off: int = 0
    data: dict[str, Any] = {}

    @property
    def is_delta(self) -> bool:
        return self.type == "delta"

    @property
    def is_last(self) -> bool:
        """The terminal event: exactly one, and nothing after it."""
        return self.type == "done"


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Event])


def encode(events: Sequence[Event]) -> bytes:
    """Events as the log and other workers get them."""
    return _encoder.encode(events)


def decode(data: bytes) -> list[Event]:
    """The reverse of `encode`."""
    return _decoder.decode(data)


def merged(events: Iterable[Event], *, most: int = MOST_CHARACTERS) -> list[Event]:
    """`events` with adjacent deltas of one part joined, up to `most` characters each."""
    result: list[Event] = []
    run: list[Event] = []
    size = 0

    def close_run() -> None:
        if len(run) == 1:
            result.append(run[0])
        elif run:
            head, tail = run[0], run[-1]
            text = "".join([event.text for event in run])
            result.append(Event("delta", head.attempt, head.first, tail.seq, head.part, text, head.off))
        run.clear()

    for event in events:
        if not event.is_delta:
            close_run()
            result.append(event)
            continue
        joins = run and (run[-1].part, run[-1].attempt, run[-1].seq + 1) == (event.part, event.attempt, event.first)
        if not joins or size + len(event.text) > most:
            close_run()
            size = 0
        run.append(event)
        size += len(event.text)
    close_run()
    return result


def utf16_length(text: str) -> int:
    """The length of `text` as JavaScript counts it."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class Transcript:
    """What a generation has written so far: its runs of text and thinking, their lengths, and the text's hash."""

    def __init__(self) -> None:
        self._runs: list[tuple[str, list[str]]] = []
        self._units = {TEXT: 0, THINKING: 0}
        self._hash = hashlib.sha256()

    def add(self, part: str, text: str) -> int:
        """Append `text` to `part`; the offset, in UTF-16 units, at which it begins."""
        offset = self._units[part]
        if self._runs and self._runs[-1][0] == part:
            self._runs[-1][1].append(text)
        else:
            self._runs.append((part, [text]))
        self._units[part] = offset + utf16_length(text)
        if part == TEXT:
            self._hash.update(text.encode())
        return offset

    @property
    def parts(self) -> list[dict[str, str]]:
        """`[{"type": …, "text": …}]` in the order in which they were written, as a message stores them."""
        for index, (part, pieces) in enumerate(self._runs):
            if len(pieces) > 1:
                self._runs[index] = (part, ["".join(pieces)])
        return [{"type": part, "text": pieces[0]} for part, pieces in self._runs]

    @property
    def text(self) -> str:
        """All words, without the thinking."""
        return joined(self.parts, TEXT)

    @property
    def length(self) -> int:
        """Length of the text in UTF-16 units."""
        return self._units[TEXT]

    @property
    def sha256(self) -> str:
        """SHA-256 over the text's UTF-8."""
        return self._hash.hexdigest()


def joined(parts: Iterable[dict[str, Any]], kind: str) -> str:
    """All text of one kind in a message's parts."""
    return "".join(part["text"] for part in parts if part["type"] == kind)


class Snapshot(msgspec.Struct, frozen=True):
    """A generation as it stands: what a listener gets when the log cannot take it from where it was."""

    attempt: int
    seq: int
    status: str
    parts: list[dict[str, str]]
    # The terminal event, if the generation has ended.
    last: Event | None = None
    # Which worker writes it, for a listener that wants to hear it live.
    owner: str = ""
