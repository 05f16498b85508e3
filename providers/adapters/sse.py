"""Server-sent events: bytes in, the data of each event out.

The grammar is that of https://html.spec.whatwg.org/multipage/server-sent-events.html: three kinds of line ends,
comments, data over several lines, and an event without its blank line at the end is none. Names and ids of events are
left out, because no dialect here needs them.

A vendor is not trusted to be brief. What is kept is never more than one event; how much may come at all grows with
time, so that a model may write for as long as it likes, but not faster than models write.
"""

from time import monotonic

from chatplatform.kernel.errors import VendorGarbled

LONGEST_EVENT = 256 * 1024
# A model writes at most some two hundred tokens a second, each in an event of some three hundred bytes.
MOST_EVENTS, MORE_EVENTS_PER_SECOND = 20_000, 200
MOST_BYTES, MORE_BYTES_PER_SECOND = 4 * 1024 * 1024, 64 * 1024

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Splitter:
    """Cuts one stream into events; VendorGarbled when it is more than a model could have to say."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._bytes = self._events = 0
        self._rest = bytearray()
        self._after_return = False
        self._at_start = True

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that `data` completes."""
        self._bytes += len(data)
        if self._bytes > MOST_BYTES:
            self._bound(self._bytes, MOST_BYTES, MORE_BYTES_PER_SECOND)
        if data and (self._after_return or b"\r" in data):
            data = self._with_newlines(data)
        whole = not self._rest and data.endswith(b"\n\n")
        if whole and data.startswith(b"data: {") and data.find(b"\n") == len(data) - 2 < LONGEST_EVENT:
            self._at_start = False
            found = [data[6:-2]]  # a token that came alone, as most do
        else:
            found = self._data_of(data if whole else self._completed_by(data))
        self._events += len(found)
        if self._events > MOST_EVENTS:
            self._bound(self._events, MOST_EVENTS, MORE_EVENTS_PER_SECOND)
        return found

    def _bound(self, count: int, most: int, more_per_second: int) -> None:
        if count > most + more_per_second * (monotonic() - self._began):
            raise VendorGarbled

    def _with_newlines(self, data: bytes) -> bytes:
        """`data` with every line end turned into a newline; the two bytes of one may come apart."""
        if self._after_return:
            data = data.removeprefix(b"\n")
        self._after_return = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _completed_by(self, data: bytes) -> bytes:
        """All events that are complete with `data`; the beginning of the next one is kept."""
        new = max(0, len(self._rest) - 1)  # what was searched before is not searched again
        self._rest += data
        blank_line = self._rest.rfind(b"\n\n", new)
        completed = bytes(self._rest[: blank_line + 2]) if blank_line >= 0 else b""
        del self._rest[: len(completed)]
        if len(self._rest) > LONGEST_EVENT:
            raise VendorGarbled
        return completed

    def _data_of(self, events: bytes) -> list[bytes]:
        if self._at_start and events:
            events = events.removeprefix(BYTE_ORDER_MARK)
            self._at_start = False
        found = []
        for event in events.split(b"\n\n"):
            if len(event) > LONGEST_EVENT:
                raise VendorGarbled
            # Nearly every event is a single line of this shape.
            data = event[6:] if event.startswith(b"data: ") and b"\n" not in event else _data(event)
            if data:
                found.append(data)
        return found


def _data(event: bytes) -> bytes:
    """The data of an event of any shape; empty if it has none."""
    lines = [line.partition(b":") for line in event.split(b"\n")]
    return b"\n".join(value.removeprefix(b" ") for name, _, value in lines if name == b"data")
