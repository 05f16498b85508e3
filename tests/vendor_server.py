"""A model vendor that can do everything wrong: a real HTTP server on a socket of this machine, in a thread of its own.

    with FaultServer() as vendor:
        …  # call the model "eof-clean" at vendor.base_url, or "gpt-4o" at vendor.address("eof-clean")
        assert vendor.requests[-1].json["model"] == "eof-clean"

It speaks OpenAI's chat completions. What it does is chosen by the model's name, a key of `MODES`; a name that is no
mode is answered properly. A request without a model, such as `GET /models`, chooses by its address. Every request is
kept, with the moment at which the client closed the connection before it was answered to the end, if it did.
"""

import asyncio
import gzip
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from types import TracebackType
from typing import Any, Self

WORDS = ("Hel", "lo, ", "wor", "ld", "!")
TEXT = "".join(WORDS)
USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
EMOJI_TEXT = "你好，世界 😀 done"
FOREVER = 3600.0

Mode = Callable[["Exchange"], Awaitable[None]]
MODES: dict[str, Mode] = {}


def mode(name: str) -> Callable[[Mode], Mode]:
    """Enter a function into `MODES`."""

    def enter(function: Mode) -> Mode:
        MODES[name] = function
        return function

    return enter


def delta(text: str | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk as OpenAI sends it."""
    said = fields if text is None else {"content": text, **fields}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "served",
        "choices": [{"index": 0, "delta": said, "logprobs": None, "finish_reason": finish}],
    }


def sse(chunk: Any) -> bytes:
    """A chunk as an event."""
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n"


DONE = b"data: [DONE]\n\n"
FINISH = sse(delta(finish="stop"))


@dataclass
class Seen:
    """One request, and how the client left it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)
    closed_at: float | None = None
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


class Exchange:
    """One request and the answer being written to it."""

    def __init__(self, server: "FaultServer", seen: Seen, writer: asyncio.StreamWriter) -> None:
        self.server, self.seen, self.writer = server, seen, writer

    async def raw(self, data: bytes) -> None:
        """Write bytes, and wait until the client has room for more."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int = 200, content_type: str = "text/event-stream", **headers: str) -> None:
        """Status line and headers; the body follows in chunks."""
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}", "Transfer-Encoding: chunked"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def chunk(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def body(self, *pieces: bytes, pause: float = 0.0) -> None:
        """A whole event stream."""
        await self.head()
        for piece in pieces:
            await self.chunk(piece)
            await asyncio.sleep(pause)
        await self.end()

    async def words(
        self, words: Iterable[str] = WORDS, *, usage: dict[str, Any] | None = None, pause: float = 0
    ) -> None:
        """A proper answer; with token counts if they were asked for, or are given."""
        asked = self.seen.body and (self.seen.json.get("stream_options") or {}).get("include_usage")
        counts = usage or (USAGE if asked else None)
        last = [sse({**delta(), "choices": [], "usage": counts})] if counts else []
        first = sse(delta("", role="assistant"))
        await self.body(first, *(sse(delta(word)) for word in words), FINISH, *last, DONE, pause=pause)

    async def json(self, status: int, document: Any, **headers: str) -> None:
        await self.head(status, "application/json", **headers)
        await self.chunk(json.dumps(document).encode())
        await self.end()

    async def error(self, status: int, code: str | int | None = None, message: str = "no", **headers: str) -> None:
        await self.json(status, {"error": {"message": message, "type": "some_error", "code": code}}, **headers)

    async def hang(self) -> None:
        await asyncio.sleep(FOREVER)

    def reset(self) -> None:
        """Close with RST instead of a goodbye."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


# --- Proper answers -------------------------------------------------------


@mode("ok")
async def _ok(exchange: Exchange) -> None:
    await exchange.words()


@mode("slow")
async def _slow(exchange: Exchange) -> None:
    await exchange.words(pause=0.05)


@mode("one")
async def _one(exchange: Exchange) -> None:
    await exchange.words(["Yes"])


@mode("empty")
async def _empty(exchange: Exchange) -> None:
    await exchange.words([])


@mode("big")
async def _big(exchange: Exchange) -> None:
    await exchange.words(["x" * 1024] * 1024)


@mode("tiny")
async def _tiny(exchange: Exchange) -> None:
    await exchange.words(["a"] * 19_990)


@mode("cached")
async def _cached(exchange: Exchange) -> None:
    await exchange.words(usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 7}})


@mode("cached-deepseek")
async def _cached_deepseek(exchange: Exchange) -> None:
    await exchange.words(usage={**USAGE, "prompt_cache_hit_tokens": 7})


@mode("absurd-usage")
async def _absurd_usage(exchange: Exchange) -> None:
    await exchange.words(usage={"prompt_tokens": -5, "completion_tokens": 10**18, "cached_tokens": 10**18})


@mode("usage-of-zeros")
async def _usage_of_zeros(exchange: Exchange) -> None:
    await exchange.words(usage={"prompt_tokens": 0, "completion_tokens": None})


@mode("second-choice")
async def _second_choice(exchange: Exchange) -> None:
    unasked = delta("no", finish="length")
    unasked["choices"][0]["index"] = 1
    await exchange.body(sse(delta("yes")), sse(unasked), FINISH, DONE)


@mode("usage-in-choice")
async def _usage_in_choice(exchange: Exchange) -> None:
    last = delta(finish="stop")
    last["choices"][0]["usage"] = USAGE
    await exchange.body(*(sse(delta(word)) for word in WORDS), sse(last), DONE)


async def _thoughts(exchange: Exchange, name: str) -> None:
    thoughts = [sse(delta(**{name: piece})) for piece in ("Let me ", "think.")]
    usage = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 3}}
    last = sse({**delta(), "choices": [], "usage": usage})
    await exchange.body(*thoughts, *(sse(delta(word)) for word in WORDS), FINISH, last, DONE)


@mode("thinking")
async def _thinking(exchange: Exchange) -> None:
    await _thoughts(exchange, "reasoning_content")


@mode("reasoning")
async def _reasoning(exchange: Exchange) -> None:
    await _thoughts(exchange, "reasoning")


for _reason in ("length", "content_filter", "tool_calls", "eos", "error", "insufficient_system_resource"):

    @mode(f"finish-{_reason}")
    async def _finish(exchange: Exchange, reason: str = _reason) -> None:
        await exchange.body(*(sse(delta(word)) for word in WORDS), sse(delta(finish=reason)), DONE)


@mode("cookie")
async def _cookie(exchange: Exchange) -> None:
    await exchange.head(Set_Cookie="session=somebody; Path=/")
    await exchange.chunk(sse(delta("x")) + FINISH + DONE)
    await exchange.end()


# --- Unusual spellings of proper answers ----------------------------------


def _in_bytes(*chunks: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in b"".join(chunks)]


@mode("byte-by-byte")
async def _byte_by_byte(exchange: Exchange) -> None:
    await exchange.body(*_in_bytes(sse(delta(EMOJI_TEXT)), FINISH, DONE))


@mode("utf8-split")
async def _utf8_split(exchange: Exchange) -> None:
    event = sse(delta(EMOJI_TEXT))
    cuts = [event.index("你".encode()) + 1, event.index("😀".encode()) + 2]
    await exchange.body(event[: cuts[0]], event[cuts[0] : cuts[1]], event[cuts[1] :], FINISH, DONE, pause=0.01)


@mode("pair-split")
async def _pair_split(exchange: Exchange) -> None:
    halves = (rb'{"choices":[{"delta":{"content":"a\ud83d"}}]}', rb'{"choices":[{"delta":{"content":"\ude00b"}}]}')
    await exchange.body(*(b"data: " + half + b"\n\n" for half in halves), FINISH, DONE)


@mode("lone-surrogate")
async def _lone_surrogate(exchange: Exchange) -> None:
    await exchange.body(b'data: {"choices":[{"delta":{"content":"a\\udc00b\\ud83d"}}]}\n\n', FINISH, DONE)


@mode("controls")
async def _controls(exchange: Exchange) -> None:
    await exchange.body(sse(delta("a\0b\x1b[31mc\x9b\n\td\0")), sse(delta("\0")), FINISH, DONE)


@mode("crlf")
async def _crlf(exchange: Exchange) -> None:
    await exchange.body(*(piece.replace(b"\n", b"\r\n") for piece in (*map(sse, map(delta, WORDS)), FINISH, DONE)))


@mode("cr")
async def _cr(exchange: Exchange) -> None:
    await exchange.body(*(piece.replace(b"\n", b"\r") for piece in (*map(sse, map(delta, WORDS)), FINISH, DONE)))


@mode("comments")
async def _comments(exchange: Exchange) -> None:
    words = [sse(delta(word)) + b": still here\n\n" for word in WORDS]
    await exchange.body(b"\xef\xbb\xbf: queued\n\n", b"event: x\nid: 7\nretry: 10\n\n", *words, FINISH, DONE)


@mode("many-lines")
async def _many_lines(exchange: Exchange) -> None:
    event = b'data: {"choices":\ndata: [{"delta":\ndata: {"content": "Hello"}}]}\n\n'
    await exchange.body(event, FINISH, DONE)


@mode("no-done")
async def _no_done(exchange: Exchange) -> None:
    await exchange.body(*(sse(delta(word)) for word in WORDS), FINISH)


@mode("reset-after-finish")
async def _reset_after_finish(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.chunk(b"".join(sse(delta(word)) for word in WORDS) + FINISH)
    await asyncio.sleep(0.1)
    exchange.reset()


@mode("open-after-done")
async def _open_after_done(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.chunk(b"".join(sse(delta(word)) for word in WORDS) + FINISH + DONE)
    await exchange.hang()


# --- Broken off -----------------------------------------------------------


@mode("hang")
async def _hang(exchange: Exchange) -> None:
    await exchange.hang()


@mode("late")
async def _late(exchange: Exchange) -> None:
    await asyncio.sleep(0.5)
    await exchange.words()


@mode("hang-before-first")
async def _hang_before_first(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.chunk(sse(delta("", role="assistant")))
    await exchange.hang()


@mode("hang-in-the-middle")
async def _hang_in_the_middle(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.chunk(sse(delta("Hel")) + sse(delta("lo")))
    await exchange.hang()


@mode("only-comments")
async def _only_comments(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.chunk(sse(delta("Hel")))
    while True:
        await exchange.chunk(b": still in the queue\n\n")
        await asyncio.sleep(0.05)


@mode("close-at-once")
async def _close_at_once(exchange: Exchange) -> None:
    exchange.writer.close()


@mode("reset-at-once")
async def _reset_at_once(exchange: Exchange) -> None:
    exchange.reset()


@mode("reset-in-the-middle")
async def _reset_in_the_middle(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.chunk(sse(delta("Hel")))
    await asyncio.sleep(0.1)
    exchange.reset()


@mode("eof-in-a-chunk")
async def _eof_in_a_chunk(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.chunk(sse(delta("Hel")))
    await exchange.raw(b"ffff\r\ndata: {")
    exchange.writer.close()


@mode("eof-clean")
async def _eof_clean(exchange: Exchange) -> None:
    await exchange.body(sse(delta("Hel")))


@mode("done-without-finish")
async def _done_without_finish(exchange: Exchange) -> None:
    await exchange.body(sse(delta("Hel")), DONE)


@mode("finish-cut-off")
async def _finish_cut_off(exchange: Exchange) -> None:
    await exchange.body(sse(delta("Hel")), FINISH[:-2])


@mode("nothing")
async def _nothing(exchange: Exchange) -> None:
    await exchange.body()


# --- Garbled --------------------------------------------------------------

GARBLED = {
    "garbage": b"data: {not json}\n\n",
    "null": b"data: null\n\n",
    "list": b"data: []\n\n",
    "wrong-types": b'data: {"choices": "none"}\n\n',
    "bad-utf8": b'data: {"choices":[{"delta":{"content":"a\xff\xfe"}}]}\n\n',
    "deep": b"data: " + b"[" * 100_000 + b"\n\n",
}
for _name, _data in GARBLED.items():

    @mode(_name)
    async def _garbled(exchange: Exchange, data: bytes = _data) -> None:
        await exchange.body(sse(delta("Hel")), data, FINISH, DONE)


@mode("not-http")
async def _not_http(exchange: Exchange) -> None:
    await exchange.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    exchange.writer.close()


@mode("html")
async def _html(exchange: Exchange) -> None:
    await exchange.head(200, "text/html; charset=utf-8")
    await exchange.chunk(b"<html><body>Sign in to the Wi-Fi</body></html>")
    await exchange.end()


@mode("gzip")
async def _gzip(exchange: Exchange) -> None:
    await exchange.head(Content_Encoding="gzip")
    await exchange.chunk(gzip.compress(sse(delta("x" * 1_000_000)) + FINISH + DONE))
    await exchange.end()


@mode("huge-line")
async def _huge_line(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.chunk(b'data: {"choices":[{"delta":{"content":"')
    piece = b"x" * 65536
    for _ in range(200 * 16):
        await exchange.chunk(piece)
    await exchange.chunk(b'"}}]}\n\n')
    await exchange.end()


@mode("huge-answer")
async def _huge_answer(exchange: Exchange) -> None:
    await exchange.words(["x" * 200_000] * 30)


@mode("flood")
async def _flood(exchange: Exchange) -> None:
    await exchange.head()
    while True:
        await exchange.chunk(sse(delta("a")) * 100)


@mode("flood-of-comments")
async def _flood_of_comments(exchange: Exchange) -> None:
    await exchange.head()
    while True:
        await exchange.chunk(b": nothing to say\n\n" * 1000)


# --- Errors ---------------------------------------------------------------

STATUSES = (400, 401, 402, 403, 404, 405, 408, 413, 422, 429, 500, 502, 503, 504)
for _status in STATUSES:

    @mode(str(_status))
    async def _fails(exchange: Exchange, status: int = _status) -> None:
        await exchange.error(status)


CODES: dict[str, tuple[int, str | int]] = {
    "400-context": (400, "context_length_exceeded"),
    "400-filter": (400, "content_filter"),
    "400-inspected": (400, "data_inspection_failed"),
    "400-arrears": (400, "Arrearage"),
    "429-quota": (429, "insufficient_quota"),
    "429-zhipu": (429, "1113"),
}
for _name, (_status, _code) in CODES.items():

    @mode(_name)
    async def _fails_with_code(exchange: Exchange, status: int = _status, code: str | int = _code) -> None:
        await exchange.error(status, code)


@mode("400-prose")
async def _too_long_in_prose(exchange: Exchange) -> None:
    message = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."
    await exchange.error(400, "invalid_request_error", message)


@mode("403-flagged")
async def _flagged(exchange: Exchange) -> None:
    error = {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"], "flagged_input": "…"}}
    await exchange.json(403, {"error": error})


WAITS: dict[str, Callable[[], str]] = {
    "429-seconds": lambda: "7",
    "429-date": lambda: formatdate(time.time() + 30, usegmt=True),
    "429-past": lambda: "Wed, 21 Oct 2015 07:28:00 GMT",
    "429-absurd": lambda: "99999999999",
    "429-negative": lambda: "-5",
    "429-nonsense": lambda: "nan",
}
for _name, _wait in WAITS.items():

    @mode(_name)
    async def _busy(exchange: Exchange, wait: Callable[[], str] = _wait) -> None:
        await exchange.error(429, "rate_limit_exceeded", Retry_After=wait())


@mode("key-echoed")
async def _key_echoed(exchange: Exchange) -> None:
    key = exchange.seen.key
    await exchange.error(401, key, f"Incorrect API key provided: {key}", X_Your_Key=key)


@mode("key-echoed-in-stream")
async def _key_echoed_in_stream(exchange: Exchange) -> None:
    await exchange.body(sse({"error": {"message": f"bad key {exchange.seen.key}", "code": exchange.seen.key}}))


@mode("error-event")
async def _error_event(exchange: Exchange) -> None:
    await exchange.body(sse(delta("Hel")), sse({"error": {"message": "oh", "type": "server_error", "code": None}}))


@mode("busy-event")
async def _busy_event(exchange: Exchange) -> None:
    await exchange.body(sse({"error": {"message": "later", "code": 429}}))


@mode("error-with-200")
async def _error_with_200(exchange: Exchange) -> None:
    await exchange.error(200, "insufficient_quota")


@mode("endless-error")
async def _endless_error(exchange: Exchange) -> None:
    await exchange.head(401, "application/json")
    while True:
        await exchange.chunk(b"x" * 65536)


@mode("redirect")
async def _redirect(exchange: Exchange) -> None:
    await exchange.head(307, Location=exchange.server.redirect_to)
    await exchange.end()


# --- The server -----------------------------------------------------------


class _Connection(asyncio.StreamReaderProtocol):
    """Reads requests, answers each by its mode, and notices at once when the client leaves in the middle."""

    def __init__(self, server: "FaultServer") -> None:
        self._reader = asyncio.StreamReader(limit=2**20)
        super().__init__(self._reader, self._serve)
        self._server = server
        self._seen: Seen | None = None
        self._serving: asyncio.Task[None] | None = None

    def eof_received(self) -> bool | None:
        self._left()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._left()
        super().connection_lost(exc)

    def _left(self) -> None:
        if self._seen is not None and self._seen.closed_at is None:
            self._seen.closed_at = time.monotonic()
            self._seen.closed.set()
        if self._serving is not None:
            self._serving.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server.connections += 1
        self._serving = asyncio.current_task()
        try:
            while not writer.is_closing():
                seen = await self._request(reader)
                self._server.requests.append(seen)
                self._seen = seen
                await self._server.mode_for(seen)(Exchange(self._server, seen, writer))
                self._seen = None
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has left
        finally:
            self._seen = self._serving = None
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> Seen:
        head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Seen(method, path, headers, body)


class FaultServer:
    """The server; see the top of this file. `good_keys`, when set, are the only ones that are not answered with 401."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self.connections = 0
        self.good_keys: set[str] | None = None
        self.redirect_to = "http://127.0.0.1:1/"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vendor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)
        self.port: int = listening.sockets[0].getsockname()[1]
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def base_url(self) -> str:
        """Where the model's name chooses the mode."""
        return f"http://127.0.0.1:{self.port}/v1"

    def address(self, name: str) -> str:
        """Where `name` is the mode of every request."""
        return f"http://127.0.0.1:{self.port}/as/{name}/v1"

    def mode_for(self, seen: Seen) -> Mode:
        """What is done with a request."""
        if self.good_keys is not None and seen.key not in self.good_keys:
            return MODES["401"]
        if chosen := re.match(r"/as/([^/]+)/", seen.path):
            name = chosen[1]
        else:
            name = seen.json["model"] if seen.body else "ok"
        if seen.method == "GET" and name == "ok":
            return _list_models
        return MODES.get(name, _ok)

    async def _listen(self) -> asyncio.Server:
        self._server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        return self._server

    async def _stop(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _list_models(exchange: Exchange) -> None:
    models = [{"id": "gpt-4o", "object": "model"}, {"id": "big", "name": "Big", "context_length": 200_000}]
    await exchange.json(200, {"object": "list", "data": models})
