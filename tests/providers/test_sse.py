"""Cutting a stream of bytes into events: the same events however the bytes arrive, and never too many of them."""

import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatplatform.kernel.errors import VendorGarbled
from providers.adapters import sse
from providers.adapters.sse import LONGEST_EVENT, MOST_BYTES, MOST_EVENTS, Splitter


def split(pieces: Iterable[bytes]) -> list[bytes]:
    splitter = Splitter()
    return [data for piece in pieces for data in splitter.feed(piece)]


def by_the_book(stream: bytes) -> list[bytes]:
    """The standard's own algorithm, line by line, as slowly as it is written down."""
    found: list[bytes] = []
    data: list[bytes] = []
    lines = re.split(rb"\r\n|\r|\n", stream.removeprefix(b"\xef\xbb\xbf"))
    for line in lines[:-1]:  # what follows the last line end is no line
        if not line:
            if any(data) or len(data) > 1:
                found.append(b"\n".join(data))
            data = []
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
    return found


FIELDS = (
    b"data: ",
    b"data:",
    b"data",
    b"data: {y}\n\n",
    b"data: \n\n",
    b"event: e",
    b"id: 1",
    b":",
    b": c",
    b"\xef\xbb\xbf",
)
LINE_ENDS = (b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\r")
REST = (b"x", b"{}", b" ", b"\xff", "你".encode())
STREAMS = st.lists(st.sampled_from((*FIELDS, *LINE_ENDS, *REST)), max_size=40).map(b"".join)


@given(STREAMS, st.lists(st.integers(0, 200), max_size=30))
@example(b"data: \n\n", [])
@example(b"data: {y}\n\n\xef\xbb\xbfdata: {y}\n\n", [11])
def test_the_events_are_those_of_the_standard_wherever_the_bytes_are_cut(stream: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    pieces = [stream[start:end] for start, end in pairwise(edges)]

    assert split(pieces) == split([stream]) == by_the_book(stream)


@given(STREAMS)
def test_one_byte_at_a_time_is_enough(stream: bytes) -> None:
    assert split(bytes([byte]) for byte in stream) == by_the_book(stream)


def test_an_event_without_its_blank_line_is_none() -> None:
    assert split([b"data: one\n\ndata: two\n"]) == [b"one"]


def test_an_event_may_be_as_long_as_allowed_and_no_longer() -> None:
    event = b"data: " + b"x" * (LONGEST_EVENT - 6)

    assert split([event[:1000], event[1000:], b"\n\n"]) == [event[6:]]
    for pieces in ([event + b"x\n\n"], [event, b"x", b"\n\n"], [b"data: y\n\n" + event + b"x\n\n"]):
        with pytest.raises(VendorGarbled):
            split(pieces)


def test_a_line_that_never_ends_is_given_up_early() -> None:
    splitter = Splitter()
    for _ in range(LONGEST_EVENT // 1024):
        assert splitter.feed(b"x" * 1024) == []
    with pytest.raises(VendorGarbled):
        splitter.feed(b"x")


def test_a_long_event_in_single_bytes_takes_no_longer_than_its_bytes() -> None:
    # A splitter that looks at all it has kept with every byte would copy thirty gigabytes here.
    assert split([b"data: ", *[b"x"] * 250_000, b"\n\n"]) == [b"x" * 250_000]


def test_more_events_than_a_model_could_write_are_refused() -> None:
    assert len(split([b"data: x\n\n"] * MOST_EVENTS)) == MOST_EVENTS
    with pytest.raises(VendorGarbled):
        split([b"data: x\n\n" * (MOST_EVENTS + 1000)])


def test_more_bytes_than_a_model_could_write_are_refused() -> None:
    with pytest.raises(VendorGarbled):
        split([b": x\n\n" * 1000] * (MOST_BYTES // 5000 + 50))


def test_a_model_that_has_been_writing_for_minutes_may_have_written_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(sse, "monotonic", lambda: now)
    splitter = Splitter()
    event = b"data: " + b"x" * 290 + b"\n\n"

    for _second in range(300):
        now += 1.0
        assert len(splitter.feed(event * 150)) == 150
