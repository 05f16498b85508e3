"""A vendor that is never the bottleneck: OpenAI's streaming chat completions, over a protocol written for nothing else.

    python -m tests.bench.upstream PORT

The model's name says how it answers: `paced-n200-r50` is 200 pieces, fifty a second, each written by itself;
`burst-n1000` is a thousand as fast as they are read. A paced piece carries the moment at which it was sent, on the
clock that all processes of the machine share, so that whoever reads it knows how long it was on its way.
"""

import asyncio
import json
import re
import sys
import time
from functools import lru_cache
from typing import Any, ClassVar, cast

import uvloop

HOST = "127.0.0.1"
NAME = re.compile(r"(?:paced-n(?P<paced>\d+)-r(?P<rate>\d+)|burst-n(?P<burst>\d+))$")
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
# A piece of text: one wide character, as most of our people's languages are made of, and the moment.
PIECE = "字%.6f "
STAMP = re.compile(rb"(\d+\.\d{6}) ")
# Pieces of a burst written together; a real vendor's segment holds a few of them.
TOGETHER = 32
# Parts of a second's pace: streams of one rate are spread over them, as they would be among strangers.
SLOTS = 20
HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(event), event)


class Answer:
    """All that one model ever says, encoded once."""

    def __init__(self, model: str) -> None:
        asked = NAME.search(model)
        if asked is None:
            raise ValueError(f"no such model: {model}")
        self.rate = int(asked["rate"] or 0)
        self.pieces = int(asked["paced"] or asked["burst"])
        self._model = model
        self.head = HEAD + _framed(self._event({"role": "assistant", "content": ""}))
        self._before, self._after = self._event({"content": "\0"}).split(b"\\u0000")
        self.together = _framed(self._event({"content": PIECE % 0.0})) * TOGETHER
        counts = {"prompt_tokens": 12, "completion_tokens": self.pieces, "total_tokens": 12 + self.pieces}
        stop, done = self._event({}, finish_reason="stop"), b"data: [DONE]\n\n"
        self._tail = _framed(stop) + _framed(done) + b"0\r\n\r\n"
        self._tail_with_usage = (
            _framed(stop) + _framed(self._event(None, usage=counts)) + self._tail[len(_framed(stop)) :]
        )

    def piece(self) -> bytes:
        """One piece, sent now."""
        return _framed(self._before + (PIECE % time.monotonic()).encode() + self._after)

    def tail(self, *, with_usage: bool) -> bytes:
        return self._tail_with_usage if with_usage else self._tail

    def _event(self, delta: dict[str, Any] | None, finish_reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = {
            "id": "chatcmpl-BnchRelay7Yq2mWc0s9ZxK4dT1uVhE",
            "object": "chat.completion.chunk",
            "created": 1760000000,
            "model": self._model,
            "service_tier": "default",
            "system_fingerprint": "fp_5b2f1a90cd",
            "choices": [] if delta is None else [choice],
            **more,
        }
        return b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


answer_of = lru_cache(maxsize=256)(Answer)


class Pacer:
    """All streams of one rate, on one timer: each has a slot, and every slot's turn comes `rate` times a second."""

    _all: ClassVar[dict[int, "Pacer"]] = {}

    def __init__(self, rate: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._step = 1 / rate / SLOTS
        self._slots: list[set[Connection]] = [set() for _ in range(SLOTS)]
        self._turn = 0
        self._next = 0.0

    @classmethod
    def of(cls, rate: int) -> "Pacer":
        return cls._all.get(rate) or cls._all.setdefault(rate, cls(rate))

    def add(self, connection: "Connection") -> None:
        idle = not any(self._slots)
        min(self._slots, key=len).add(connection)
        if idle:
            self._next = self._loop.time()
            self._wait()

    def _wait(self) -> None:
        # The loop's timers count milliseconds: one that asks for less comes back at once, for ever.
        self._loop.call_later(max(0.001, self._next - self._loop.time()), self._ring)

    def _ring(self) -> None:
        while self._next <= self._loop.time():
            slot = self._slots[self._turn]
            slot.difference_update([one for one in slot if not one.say()])
            self._turn = (self._turn + 1) % SLOTS
            self._next += self._step
        if any(self._slots):
            self._wait()


class Connection(asyncio.Protocol):
    """One client. It asks for one stream at a time."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._unread = b""
        self._answer = answer_of("burst-n0")
        self._left = 0
        self._with_usage = False
        self._full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head, blank_line, rest = self._unread.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if blank_line and len(rest) >= (size := int(length[1]) if length else 0):
            self._unread = rest[size:]
            self._begin(json.loads(rest[:size]))

    def _begin(self, asked: dict[str, Any]) -> None:
        self._answer = answer_of(asked["model"])
        self._with_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        self._left = self._answer.pieces
        self.transport.write(self._answer.head)
        if self._answer.rate:
            Pacer.of(self._answer.rate).add(self)
        else:
            self._pour()

    def say(self) -> bool:
        """Write the next piece; False if it was the last one."""
        if self.transport.is_closing():
            return False
        self._left -= 1
        piece = self._answer.piece()
        self.transport.write(piece if self._left else piece + self._answer.tail(with_usage=self._with_usage))
        return self._left > 0

    def _pour(self) -> None:
        one = len(self._answer.together) // TOGETHER
        while self._left and not self._full:
            now = min(self._left, TOGETHER)
            self._left -= now
            self.transport.write(self._answer.together[: now * one])
            if not self._left:
                self.transport.write(self._answer.tail(with_usage=self._with_usage))

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if not self._answer.rate:
            self._pour()


async def serve(port: int) -> None:
    """Answer until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Connection, HOST, port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
