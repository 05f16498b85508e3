"""One hub per process: gives numbered events to everyone who follows a generation, here and in other workers.

How an event travels:
1. The writer's `Stream` numbers it and hands it to every `Listener` in this process, at once and without a copy.
2. On the stream's next tick (at once for the first words, then every `TICK` seconds) what has gathered is merged and
   appended to the replay log, in one pipeline for all streams of the process that are due.
3. If another worker has asked for this generation, the same bytes go to it through the channel layer: one message per
   generation and tick, received once per worker by its hub, never by a consumer.

The channel layer is a nudge and not the record: it may lose a message. What makes delivery complete is the numbers. A
listener that misses one reads the log; if the log cannot help it takes a snapshot; and while a followed generation is
silent its hub looks at the end of the log, so that a lost message costs at most `QUIET` seconds.
"""

import asyncio
import logging
import time
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

from channels.layers import get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

from chatplatform.kernel.background import keep_doing, spawn
from conversations.streaming.events import Event, decode, encode, merged
from conversations.streaming.listener import Listener, Standing
from conversations.streaming.log import Entry, Log
from conversations.streaming.memory import MemoryLog
from conversations.streaming.redis import RedisLog
from conversations.streaming.stream import Stream

log = logging.getLogger(__name__)

# Seconds between two flushes of one stream to the log and to other workers: each costs a Redis command, and 50–100 ms
# is where a reader does not notice and the cost per word is a third of sending every one.
TICK = 0.075
# How often the hub looks which streams are due. Streams start at odd moments, so their flushes spread by themselves.
STEP = 0.025
# Merged text per log entry, in characters.
ENTRY_CHARACTERS = 512
# A generation on another worker that has been silent for so long is looked up at the end of its log.
QUIET = 2.0
# Another worker's wish to hear a generation lasts so long unless it is renewed; it renews at a third of that.
INTEREST = 30.0
# How long the start waits for the channel layer.
START_SECONDS = 3.0

AWAY = (RedisError, OSError, TimeoutError)

Watcher = Callable[[dict[str, Any]], None]


class Topic:
    """A generation that somebody in this process follows or writes."""

    __slots__ = ("asked_at", "heard_at", "joined", "listeners", "owner")

    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        self.joined = False
        self.owner = ""
        self.asked_at = 0.0
        self.heard_at = time.monotonic()


class Hub:
    """The process's exchange. Get it by `await hub()`; everything on it is called from the event loop."""

    def __init__(self) -> None:
        # The group that this worker alone is in: the name by which others reach it, whatever becomes of its channel.
        self.name = f"hub.{uuid4().hex}"
        self._channel = ""
        self._listening = asyncio.Event()
        self._flush_lock = asyncio.Lock()
        self.on_stop: Callable[[UUID], None] = lambda generation_id: None
        self._log: Log = RedisLog() if settings.REDIS_URL else MemoryLog()
        self._layer: Any = get_channel_layer()
        self._streams: dict[UUID, Stream] = {}
        self._topics: dict[UUID, Topic] = {}
        self._watchers: dict[UUID, set[Watcher]] = {}
        self._dirty: set[Stream] = set()
        self._work = asyncio.Event()
        self._log_away = False

    async def start(self) -> None:
        """Begin to listen and to flush; called once, by `hub()`."""
        keep_doing(self._flush_due, name="hub: flush")
        if not settings.REDIS_URL:
            return
        keep_doing(self._receive, name="hub: receive from other workers")
        keep_doing(self._watch_the_quiet, name="hub: watch quiet generations")
        with suppress(TimeoutError):  # Redis may be away: then the log and the database have to do
            async with asyncio.timeout(START_SECONDS):
                await self._listening.wait()

    # --- the writer's side ---------------------------------------------------

    def open_stream(self, generation_id: UUID, *, attempt: int, on_fenced: Callable[[], None]) -> Stream:
        """The writer's end for one attempt. `on_fenced` is called if a later attempt has taken over."""
        topic = self._topics.setdefault(generation_id, Topic())
        stream = Stream(self, topic, generation_id, attempt, on_fenced)
        self._streams[generation_id] = stream
        return stream

    async def close_stream(self, stream: Stream) -> None:
        """Flush what is left and let go; the log keeps it for whoever comes back. If somebody else goes on with the
        generation, those who read it here are sent to wherever it is now."""
        self._dirty.discard(stream)
        await self._flush([stream])
        if self._streams.get(stream.generation_id) is stream:
            del self._streams[stream.generation_id]
        self._log.forget(stream.generation_id)
        topic = self._topics.get(stream.generation_id)
        if topic and topic.listeners and not stream.ended:
            await self._follow_elsewhere(stream.generation_id, topic)
            for listener in tuple(topic.listeners):
                listener.nudge()
        self._drop_if_unused(stream.generation_id)

    async def publish(self, generation_id: UUID, event: Event) -> None:
        """Give out one event of an attempt that nobody writes: the end that a reaper makes. Whoever writes an earlier
        one here is fenced."""
        if (stream := self._streams.get(generation_id)) and stream.attempt < event.attempt:
            del self._streams[generation_id]
            stream.on_fenced()
        for listener in self.listeners(generation_id):
            listener.push(event)
        data = encode([event])
        await self._append([Entry(generation_id, event.attempt, event.seq, data, event.is_last)])
        self._log.forget(generation_id)
        await self._tell_followers(generation_id, data, event.attempt, event.seq)

    def mark(self, stream: Stream) -> None:
        """The stream has something to flush."""
        self._dirty.add(stream)
        self._work.set()

    def stream(self, generation_id: UUID) -> Stream | None:
        """The writer's end, if it is in this process."""
        return self._streams.get(generation_id)

    async def _flush_due(self) -> None:
        await self._work.wait()
        now = time.monotonic()
        if due := [stream for stream in self._dirty if stream.due <= now]:
            self._dirty.difference_update(due)
            await self._flush(due)
        if not self._dirty:
            self._work.clear()
        await asyncio.sleep(STEP)

    async def _flush(self, streams: list[Stream]) -> None:
        # One at a time: what is appended second must not arrive first.
        async with self._flush_lock:
            await self._flush_now(streams)

    async def _flush_now(self, streams: list[Stream]) -> None:
        now = time.monotonic()
        entries: list[Entry] = []
        batches: list[tuple[Stream, bytes]] = []
        for stream in streams:
            stream.due = now + TICK
            events = merged(stream.take(), most=ENTRY_CHARACTERS)
            data = encode(events)
            last = bool(events) and events[-1].is_last
            if events:
                entries.append(Entry(stream.generation_id, stream.attempt, events[-1].seq, data, last))
            if last or stream.wanted_until > now or stream.owes_tip:
                batches.append((stream, data))
                stream.owes_tip = False
        await self._append(entries)
        for stream, data in batches:
            await self._tell_followers(stream.generation_id, data, stream.attempt, stream.seq)

    async def _tell_followers(self, generation_id: UUID, data: bytes, attempt: int, tip: int) -> None:
        batch = {"type": "hub.batch", "generation": str(generation_id), "events": data, "attempt": attempt, "tip": tip}
        await self._tell(f"gen.{generation_id}", batch)

    async def _append(self, entries: list[Entry]) -> None:
        refused: list[Entry] = []
        try:
            if entries:
                refused = await self._log.append(entries)
        except AWAY as exc:
            if not self._log_away:
                log.warning("the replay log is away; replies go on without it", extra={"reason": repr(exc)})
            self._log_away = True
        else:
            self._log_away = False
        for entry in entries:
            if stream := self._streams.get(entry.generation_id):
                stream.flushed()
        for entry in refused:
            if (stream := self._streams.get(entry.generation_id)) and stream.attempt == entry.attempt:
                log.warning("fenced: a later attempt writes this generation", extra={"id": str(entry.generation_id)})
                stream.on_fenced()

    # --- the readers' side ---------------------------------------------------

    def listen(self, generation_id: UUID, *, attempt: int, after: int, standing: Standing) -> Listener:
        """A listener from number `after` of `attempt` (0, 0: from the start, whichever attempt that is).

        `standing` reads how the generation stands in the database; it is asked when the log does not serve.
        """
        return Listener(self, generation_id, attempt=attempt, after=after, standing=standing)

    def listeners(self, generation_id: UUID) -> tuple[Listener, ...]:
        """Everyone in this process who reads this generation now."""
        topic = self._topics.get(generation_id)
        return tuple(topic.listeners) if topic else ()

    async def enter(self, listener: Listener) -> None:
        """Subscribe first, so that nothing falls between the log and the live events."""
        topic = self._topics.setdefault(listener.generation_id, Topic())
        topic.listeners.add(listener)
        try:
            if listener.generation_id not in self._streams:
                await self._follow_elsewhere(listener.generation_id, topic)
        except BaseException:
            await self.leave(listener)
            raise

    async def _follow_elsewhere(self, generation_id: UUID, topic: Topic) -> None:
        if settings.REDIS_URL and not topic.joined:
            topic.joined = True
            await self._join(f"gen.{generation_id}")

    async def leave(self, listener: Listener) -> None:
        """Unsubscribe; the generation goes on without us."""
        topic = self._topics.get(listener.generation_id)
        if topic is None:
            return
        topic.listeners.discard(listener)
        self._drop_if_unused(listener.generation_id)
        if topic.joined and not topic.listeners:
            topic.joined = False
            await self._part(f"gen.{listener.generation_id}")

    def _drop_if_unused(self, generation_id: UUID) -> None:
        topic = self._topics.get(generation_id)
        if topic and not topic.listeners and generation_id not in self._streams:
            del self._topics[generation_id]

    async def kept(self, generation_id: UUID, *, attempt: int, after: int) -> list[Event]:
        """What the log still has after a number; nothing when the log is away."""
        try:
            return await self._log.read(generation_id, attempt=attempt, after=after)
        except AWAY:
            return []

    def knows_owner(self, generation_id: UUID) -> bool:
        """Whether the worker that writes a generation has been asked to send it here."""
        topic = self._topics.get(generation_id)
        return topic is not None and bool(topic.owner)

    def heard_of_owner(self, generation_id: UUID, owner: str) -> None:
        """The database says who writes a generation: ask that worker to send it here."""
        topic = self._topics.get(generation_id)
        if topic and owner and owner != self.name:
            topic.owner = owner
            self._ask(generation_id, topic)

    def _ask(self, generation_id: UUID, topic: Topic) -> None:
        topic.asked_at = time.monotonic()
        wish = {"type": "hub.wanted", "generation": str(generation_id)}
        spawn(self.send_to(topic.owner, wish), name=f"ask for {generation_id}")

    async def _watch_the_quiet(self) -> None:
        await asyncio.sleep(QUIET / 2)
        now = time.monotonic()
        elsewhere = {i: topic for i, topic in self._topics.items() if topic.joined and i not in self._streams}
        for generation_id, topic in elsewhere.items():
            if not topic.owner:
                for listener in self.listeners(generation_id):
                    listener.nudge()  # nobody had claimed it yet when it looked
            elif topic.asked_at + INTEREST / 3 < now:
                self._ask(generation_id, topic)
        quiet = [i for i, topic in elsewhere.items() if topic.heard_at + QUIET <= now]
        if not quiet:
            return
        try:
            ends = await self._log.ends(quiet)
        except AWAY:
            ends = [None] * len(quiet)
        for generation_id, end in zip(quiet, ends, strict=True):
            elsewhere[generation_id].heard_at = now
            for listener in self.listeners(generation_id):
                # Nothing kept may mean that it was lost: the listener asks the database then.
                if end is None or end > (listener.attempt, listener.last):
                    listener.nudge()

    # --- conversations: somebody began a turn --------------------------------

    async def watch(self, conversation_id: UUID, watcher: Watcher) -> None:
        """Have `watcher` called with what is announced about a conversation, by any worker."""
        watchers = self._watchers.setdefault(conversation_id, set())
        if not watchers and settings.REDIS_URL:
            await self._join(f"conv.{conversation_id}")
        watchers.add(watcher)

    async def unwatch(self, conversation_id: UUID, watcher: Watcher) -> None:
        """The reverse of `watch`."""
        watchers = self._watchers.get(conversation_id)
        if watchers is None:
            return
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[conversation_id]
            if settings.REDIS_URL:
                await self._part(f"conv.{conversation_id}")

    async def announce(self, conversation_id: UUID, news: dict[str, Any]) -> None:
        """Tell every watcher of a conversation, here and elsewhere."""
        self._tell_watchers(conversation_id, news)
        if settings.REDIS_URL:
            await self._tell(
                f"conv.{conversation_id}",
                {"type": "hub.news", "conversation": str(conversation_id), "from": self.name, "news": news},
            )

    def _tell_watchers(self, conversation_id: UUID, news: dict[str, Any]) -> None:
        for watcher in tuple(self._watchers.get(conversation_id, ())):
            watcher(news)

    # --- the channel layer ---------------------------------------------------

    async def send_to(self, worker: str, message: dict[str, Any]) -> None:
        """Send to one other worker's hub, by its name; lost if it is gone, which nobody relies upon."""
        await self._tell(worker, message)

    async def _tell(self, group: str, message: dict[str, Any]) -> None:
        if settings.REDIS_URL:
            await self._unless_away(self._layer.group_send(group, message))

    async def _join(self, group: str) -> None:
        if self._channel:
            await self._unless_away(self._layer.group_add(group, self._channel))

    async def _part(self, group: str) -> None:
        if self._channel:
            await self._unless_away(self._layer.group_discard(group, self._channel))

    async def _unless_away(self, work: Awaitable[None]) -> None:
        try:
            await work
        except AWAY as exc:
            log.warning("the channel layer is away", extra={"reason": repr(exc)})

    async def _receive(self) -> None:
        """Listen until the layer goes away; called again, it listens on a new channel and joins every group anew."""
        try:
            self._channel = await self._layer.new_channel("hub.")
            followed = [f"gen.{generation_id}" for generation_id, topic in self._topics.items() if topic.joined]
            watched = [f"conv.{conversation_id}" for conversation_id in self._watchers]
            for group in (self.name, *followed, *watched):
                await self._layer.group_add(group, self._channel)
            self._listening.set()
            while True:
                message = await self._layer.receive(self._channel)
                try:
                    self._handle(message)
                except Exception:  # one bad message must not silence the worker
                    log.exception("a message from another worker made no sense", extra={"type": message.get("type")})
        except AWAY as exc:
            log.warning("the channel layer is away", extra={"reason": repr(exc)})
            await asyncio.sleep(1)

    def _handle(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "hub.batch":
                self._receive_batch(UUID(message["generation"]), message)
            case "hub.wanted":
                if stream := self._streams.get(UUID(message["generation"])):
                    stream.wanted_until = time.monotonic() + INTEREST
                    stream.owes_tip = True
                    self.mark(stream)
            case "hub.news":
                if message["from"] != self.name:
                    self._tell_watchers(UUID(message["conversation"]), message["news"])
            case "hub.stop":
                self.on_stop(UUID(message["generation"]))

    def _receive_batch(self, generation_id: UUID, message: dict[str, Any]) -> None:
        if generation_id in self._streams:
            return  # our own, heard because somebody here followed before we began to write
        topic = self._topics.get(generation_id)
        if topic is None:
            return
        topic.heard_at = time.monotonic()
        events = decode(message["events"])
        tip = (message["attempt"], message["tip"])
        for listener in tuple(topic.listeners):
            for event in events:
                listener.push(event)
            if not events and tip > (listener.attempt, listener.last):
                listener.nudge()


_hubs: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = weakref.WeakKeyDictionary()


async def hub() -> Hub:
    """The hub of this process's event loop, started at its first use."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
        await _hubs[loop].start()
    return _hubs[loop]
