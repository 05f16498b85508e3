"""A client of `/ws/chat` that keeps the rule for numbered events to the letter, over a real line or inside the process.

It shows what a person would see, `shown[generation_id]`, and remembers every frame. Whatever breaks the rule on the
server's side (a number twice with another text, a second terminal event, a text that does not match its hash) fails the
test at once.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any, Protocol
from uuid import uuid4

import websockets
from channels.testing import WebsocketCommunicator

PATIENCE = 30.0


class Line(Protocol):
    """Text frames out and in."""

    async def send(self, text: str) -> None: ...

    async def receive(self) -> str: ...

    async def close(self) -> None: ...


class LineClosed(Exception):
    """The server closed the socket."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class InsideLine:
    """A line to the ASGI application in this process."""

    def __init__(self, communicator: WebsocketCommunicator) -> None:
        self.communicator = communicator

    async def send(self, text: str) -> None:
        await self.communicator.send_to(text_data=text)

    async def receive(self) -> str:
        # The queue itself: the communicator's own waiting cancels the application when its time is up.
        event = await self.communicator.output_queue.get()
        if event["type"] == "websocket.close":
            raise LineClosed(event.get("code", 1000))
        return str(event["text"])

    async def close(self) -> None:
        await self.communicator.disconnect()


class RealLine:
    """A line to a server on a socket."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.connection = connection

    async def send(self, text: str) -> None:
        await self.connection.send(text)

    async def receive(self) -> str:
        try:
            return str(await self.connection.recv())
        except websockets.ConnectionClosed as exc:
            raise LineClosed(exc.rcvd.code if exc.rcvd else None) from None

    async def close(self) -> None:
        await self.connection.close()


class Shown:
    """One reply on this phone's screen."""

    def __init__(self) -> None:
        self.attempt = 0
        self.last = 0
        self.parts = {"text": "", "thinking": ""}
        self.units = {"text": 0, "thinking": 0}
        self.done: dict[str, Any] | None = None
        self.snapshots = 0
        self.acknowledged = 0
        self.unread = 0

    @property
    def text(self) -> str:
        return self.parts["text"]

    def apply(self, kind: str, data: dict[str, Any]) -> bool:
        """Take a frame in; False if it can only be understood after a resume."""
        attempt, seq = data["attempt"], data["seq"]
        if kind == "snapshot":
            return self._take_piece(data)
        if attempt < self.attempt or (attempt == self.attempt and seq <= self.last):
            return True
        if attempt > self.attempt and self.attempt:
            return False
        first = data.get("first", seq)
        if first > self.last + 1:
            return False
        assert self.done is None, f"{kind} number {seq} after the terminal event"
        self.attempt, self.last = attempt, seq
        if kind == "stream":
            self._append(data["part"], data["off"], data["content"])
        elif kind == "done":
            self._end(data)
        return True

    def _append(self, part: str, off: int, text: str) -> None:
        there = self.units[part]
        assert off <= there, f"a hole before offset {off}: {there} units are there"
        fresh = text.encode("utf-16-le")[2 * (there - off) :].decode("utf-16-le")
        self.parts[part] += fresh
        self.units[part] += units(fresh)

    def _take_piece(self, data: dict[str, Any]) -> bool:
        part, off = data["part"], data["off"]
        if off == 0:
            self.parts[part], self.units[part] = "", 0
        assert off == self.units[part]
        self.parts[part] += data["text"]
        self.units[part] += units(data["text"])
        if data["last"]:
            self.snapshots += 1
            self.attempt, self.last = data["attempt"], data["seq"]
        return True

    def _end(self, data: dict[str, Any]) -> None:
        self.done = data
        assert units(self.text) == data["length"]
        assert hashlib.sha256(self.text.encode()).hexdigest() == data["sha256"]


def units(text: str) -> int:
    """UTF-16 units, as JavaScript counts."""
    return len(text.encode("utf-16-le")) // 2


class Phone:
    """A device with one open socket."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.frames: list[dict[str, Any]] = []
        self.shown: dict[str, Shown] = {}
        self.resumes = 0
        self.acknowledges = True

    async def next(self, patience: float = PATIENCE) -> dict[str, Any]:
        """The next frame, taken in as a client would."""
        async with asyncio.timeout(patience):
            text = await self.line.receive()
        assert len(text.encode()) < 32 * 1024, "a frame from the server stays under 32 KB"
        frame: dict[str, Any] = json.loads(text)
        self.frames.append(frame)
        await self._take_in(frame)
        return frame

    async def _take_in(self, frame: dict[str, Any]) -> None:
        data = frame["data"]
        generation_id = data.get("generation_id")
        if generation_id is None or "seq" not in data:
            return
        shown = self.shown.setdefault(generation_id, Shown())
        if not shown.apply(frame["type"], data):
            self.resumes += 1
            await self.send("resume", generation_id=generation_id, attempt=shown.attempt, after=shown.last)
        shown.unread += 1
        if self.acknowledges and (shown.last - shown.acknowledged >= 32 or shown.unread >= 16):
            shown.acknowledged, shown.unread = shown.last, 0
            await self.send("ack", generation_id=generation_id, seq=shown.last)

    async def until(self, kind: str, *, patience: float = PATIENCE, **match: Any) -> dict[str, Any]:
        """Read frames until one of this type whose data has these values; its data."""
        async with asyncio.timeout(patience):
            while True:
                frame = await self.next(patience)
                if frame["type"] == kind and all(frame["data"].get(name) == value for name, value in match.items()):
                    return dict(frame["data"])

    async def until_shown(self, generation_id: str, enough: Callable[[Shown], bool]) -> Shown:
        """Read frames until the reply on the screen is as wanted."""
        async with asyncio.timeout(PATIENCE):
            while generation_id not in self.shown or not enough(self.shown[generation_id]):
                await self.next()
        return self.shown[generation_id]

    async def send(self, kind: str, request_id: str | None = None, **data: Any) -> None:
        frame = {"type": kind, "data": data} | ({"id": request_id} if request_id else {})
        await self.line.send(json.dumps(frame, ensure_ascii=False))

    async def ask(self, kind: str, **data: Any) -> dict[str, Any]:
        """Send a request and read until its answer; the whole frame."""
        request_id = uuid4().hex
        await self.send(kind, request_id, **data)
        async with asyncio.timeout(PATIENCE):
            while (frame := await self.next()).get("id") != request_id:
                pass
        return frame

    async def say(self, content: str, **data: Any) -> dict[str, Any]:
        """Send a message; the data of `accepted`."""
        answer = await self.ask("message", content=content, **data)
        assert answer["type"] == "accepted", answer
        return dict(answer["data"])

    async def hear(self, content: str, **data: Any) -> Shown:
        """Send a message and read the reply to its end."""
        accepted = await self.say(content, **data)
        return await self.hear_out(accepted["generation_id"])

    async def hear_out(self, generation_id: str) -> Shown:
        """Read a reply to its end."""
        return await self.until_shown(generation_id, lambda shown: shown.done is not None)

    async def closed(self, patience: float = PATIENCE) -> int | None:
        """Read until the server closes; the code."""
        async with asyncio.timeout(patience):
            while True:
                try:
                    await self.next(patience)
                except LineClosed as exc:
                    return exc.code

    async def hang_up(self) -> None:
        await self.line.close()


def script(*steps: dict[str, Any]) -> str:
    """A message that makes the model `scripted/script` play these steps."""
    return json.dumps(list(steps), ensure_ascii=False)


SCRIPT = "scripted/script"
# A message whose reply is short and comes at once.
BRIEF: dict[str, Any] = {"content": script({"say": "Hello."}), "model_id": SCRIPT}
