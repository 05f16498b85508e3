"""The clients: written on bare protocols, so that they are never what is measured.

A `Talk` asks one question over our socket, a `Relayed` asks the peer the same; both note for each token how long it
was on its way. A `Talk` also holds the server to its word: numbers without a hole, and the hash of the text. An `Idle`
signs in and is silent.
"""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any, cast
from uuid import uuid4

import msgspec

from tests.bench.upstream import HOST, STAMP

# Any sixteen bytes will do.
SOCKET_KEY = base64.b64encode(bytes(16)).decode()
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
QUESTION = "What should I look at first when a program has become slow since yesterday? Please be brief."
# Events after which a phone says that it has read them.
ACKNOWLEDGE_EVERY = 32
# Handshakes under way at once.
TOGETHER = 32
# A server takes only so many sockets from one address, and this machine has millions of addresses.
PER_ADDRESS = 100


@dataclass
class Heard:
    """What all clients of one run got."""

    tokens: int = 0
    lost: int = 0
    failures: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def late(self, percent: int) -> float:
        """How many milliseconds the slowest of `percent` in a hundred tokens was late."""
        return quantiles(self.delays, n=100)[percent - 1] * 1000 if len(self.delays) > 1 else float("nan")


class Client(asyncio.Protocol):
    """One connection, and what came over it. `ended` is set when it has what it came for, or has failed."""

    transport: asyncio.Transport
    # Tokens that are to come.
    expected = 0

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failure = ""
        self.delays: list[float] = []
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request())

    def connection_lost(self, exc: Exception | None) -> None:
        self.end("the connection was closed")

    def end(self, failure: str = "") -> None:
        """Be done; the first word counts."""
        if not self.ended.done():
            self.failure = failure
            self.ended.set_result(None)
            self.transport.close()

    def note(self, data: bytes) -> None:
        """Note every token whose stamp is in these bytes."""
        now = time.monotonic()
        self.delays += [now - float(stamp) for stamp in STAMP.findall(data)]

    def request(self) -> bytes:
        """What is sent first."""
        raise NotImplementedError


class Relayed(Client):
    """A stream of the peer's."""

    def __init__(self, model: str, tokens: int) -> None:
        super().__init__()
        self._model = model
        self.expected = tokens

    def request(self) -> bytes:
        messages = [{"role": "user", "content": QUESTION}]
        asked = {"model": self._model, "stream": True, "stream_options": {"include_usage": True}, "messages": messages}
        body = json.dumps(asked).encode()
        return b"POST /v1/chat/completions HTTP/1.1\r\nhost: %s\r\ncontent-length: %d\r\n\r\n%s" % (
            HOST.encode(),
            len(body),
            body,
        )

    def data_received(self, data: bytes) -> None:
        whole, newline, self._unread = (self._unread + data).rpartition(b"\n")
        self.note(whole + newline)
        if b"[DONE]" in whole:
            self.end()


class Body(msgspec.Struct):
    """What is looked at in the data of a frame."""

    generation_id: str = ""
    first: int = 0
    seq: int = 0
    content: str = ""
    status: str = ""
    sha256: str = ""
    code: str = ""


class Frame(msgspec.Struct):
    type: str
    data: Body


_decode = msgspec.json.Decoder(Frame).decode


class Socket(Client):
    """A web socket, signed in by its token, which the peer does not look at."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self._open = False

    def request(self) -> bytes:
        headers = {
            "Host": HOST,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": SOCKET_KEY,
            "Sec-WebSocket-Version": "13",
            "Authorization": f"Bearer {self._token}",
        }
        lines = ["GET /ws/chat HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode()

    def data_received(self, data: bytes) -> None:
        data = self._unread + data
        if not self._open:
            head, blank_line, data = data.partition(b"\r\n\r\n")
            if not blank_line:
                self._unread = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                return self.end(head.partition(b"\r\n")[0].decode())
            self._open = True
        at = 0
        while (found := _frame(data, at)) is not None:
            kind, begin, at = found
            if kind == TEXT:
                self.heard(data[begin:at])
            elif kind == PING:
                self.send(data[begin:at], PONG)
            elif kind == CLOSE:
                self.end(f"closed with {int.from_bytes(data[begin : begin + 2], 'big')}")
        self._unread = data[at:]

    def send(self, data: bytes, kind: int = TEXT) -> None:
        """Send a frame, under a mask of zeros."""
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        self.transport.write(bytes([0x80 | kind]) + size + bytes(4) + data)

    def heard(self, text: bytes) -> None:
        """A frame came."""
        raise NotImplementedError


def _frame(data: bytes, at: int) -> tuple[int, int, int] | None:
    """The kind of the frame that begins at `at`, and where its payload begins and ends; None if it is not all there."""
    if len(data) < at + 2:
        return None
    kind, size, begin = data[at] & 15, data[at + 1] & 127, at + 2
    if size > 125:
        wide = 2 if size == 126 else 8
        size, begin = int.from_bytes(data[begin : begin + wide], "big"), begin + wide
    return (kind, begin, begin + size) if len(data) >= begin + size else None


class Idle(Socket):
    """Has what it came for when it is signed in; it stays until somebody closes it."""

    def heard(self, text: bytes) -> None:
        if not self.ended.done():
            self.failure = "" if _decode(text).type == "ready" else text.decode()
            self.ended.set_result(None)


class Talk(Socket):
    """Signs in, asks, and reads the reply to its end."""

    def __init__(self, token: str, model: str, tokens: int) -> None:
        super().__init__(token)
        self._model = model
        self.expected = tokens
        self._last = self._acknowledged = 0
        self._hash = hashlib.sha256()

    def heard(self, text: bytes) -> None:
        frame = _decode(text)
        data = frame.data
        match frame.type:
            case "ready":
                model, message_id = f"custom/{self._model}", uuid4().hex
                self._say("message", content=QUESTION, model_id=model, client_message_id=message_id)
            case "error":
                self.end(data.code)
        if not data.seq:
            return
        if (data.first or data.seq) != self._last + 1:
            return self.end(f"number {data.first or data.seq} after {self._last}")
        self._last = data.seq
        if frame.type == "stream":
            self.note(data.content.encode())
            self._hash.update(data.content.encode())
            if self._last - self._acknowledged >= ACKNOWLEDGE_EVERY:
                self._acknowledged = self._last
                self._say("ack", generation_id=data.generation_id, seq=data.seq)
        elif frame.type == "done":
            whole = data.status == "completed" and data.sha256 == self._hash.hexdigest()
            self.end("" if whole else f"{data.status}, or not the text that was sent")

    def _say(self, kind: str, **data: Any) -> None:
        self.send(json.dumps({"type": kind, "data": data}).encode())


async def _connect(client: Client, number: int, port: int) -> None:
    block, host = divmod(number // PER_ADDRESS, 250)
    address = f"127.0.{block}.{host + 2}"
    await asyncio.get_running_loop().create_connection(lambda: client, HOST, port, local_addr=(address, 0))


async def listen(listeners: Sequence[Client], port: int, *, ramp: float, patience: float) -> Heard:
    """Connect one after the other within `ramp` seconds, and read all streams to their ends."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, listener in enumerate(listeners):
        await asyncio.sleep(began + ramp * number / len(listeners) - loop.time())
        await _connect(listener, number, port)
    await asyncio.wait([one.ended for one in listeners], timeout=patience)
    heard = Heard()
    for one in listeners:
        one.end("no end came")
        heard.tokens += len(one.delays)
        heard.lost += one.expected - len(one.delays)
        heard.delays += one.delays
        heard.failures += [one.failure] if one.failure else []
    return heard


async def sign_in(sockets: Sequence[Client], port: int) -> float:
    """Open all sockets, some at a time; how many seconds it took until the last was signed in."""
    began = time.monotonic()
    waiting = iter(enumerate(sockets))

    async def some() -> None:
        for number, socket in waiting:
            await _connect(socket, number, port)
            await socket.ended

    await asyncio.gather(*(some() for _ in range(TOGETHER)))
    return time.monotonic() - began
