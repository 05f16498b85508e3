"""`/ws/chat`: one person's socket. It starts turns, follows them and stops them; it never runs them.

Signing in, any of: `?token=` · `?ticket=` · `Authorization: Bearer` · sub-protocol `bearer, <token>` · first frame
`auth`. Cookies never sign a socket in. Closing the socket ends the following, never the turn.
"""

import asyncio
import logging
import secrets
import time
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError
from django.utils import translation

from accounts.authentication import Signed, devices_signed_in, identify, redeem_ticket
from accounts.credentials import SocketCredentials, socket_credentials
from chatplatform.kernel import errors, health
from chatplatform.kernel.background import cancel, spawn
from chatplatform.kernel.db import in_db
from conversations import queries
from conversations.generation.engine import accepted_data
from conversations.generation.turn import start_turn, stop_turn
from conversations.models import Conversation, Generation
from conversations.realtime import frames
from conversations.realtime.frames import (
    About,
    Auth,
    Follow,
    Message,
    Ping,
    Resume,
    Stop,
    Unfollow,
)
from conversations.services.messages import Send
from conversations.streaming.events import Event, Snapshot
from conversations.streaming.hub import Hub, hub

log = logging.getLogger(__name__)

# Seconds a socket may stay without signing in.
SIGN_IN_WITHIN = 10.0
# Seconds of silence after which a socket is dropped: two missed heartbeats and a slow network.
SILENCE = 70.0
# How often every socket of this process is looked at: whether it still lives, and whether its person is signed in.
LOOK_EVERY = 5.0
# A bad frame earns an error; so many in a row, the close.
BAD_FRAMES = 3

# Milliseconds over which clients are spread when they are sent away.
COME_BACK_WITHIN = 5000

RESTART, BAD, NOT_SIGNED_IN = 1012, 4400, 4401


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One socket of one person."""

    # Replies reach this process through the hub, once for all its sockets; a consumer has no channel of its own.
    channel_layer_alias = ""
    open_sockets: ClassVar["weakref.WeakSet[ChatConsumer]"] = weakref.WeakSet()

    hub: Hub
    signed: Signed | None = None
    heard_at = 0.0
    bad_frames = 0

    # --- opening, signing in, closing ----------------------------------------

    async def connect(self) -> None:
        self.following: dict[UUID, asyncio.Task[Any]] = {}
        self.watched: set[UUID] = set()
        self.timers: list[asyncio.TimerHandle] = []
        self.heard_at = time.monotonic()
        self.hub = await hub()
        offered = socket_credentials(self.scope)
        translation.activate(offered.language)
        await self.accept(subprotocol=offered.subprotocol)
        if health.draining():
            await self.send_away()
            return
        self.open_sockets.add(self)
        _watch_sockets()
        if offered.token or offered.ticket:
            await self._guarded(self._sign_in(offered), None)
            if self.signed is None:
                await self.close(NOT_SIGNED_IN)
        else:
            self._after(SIGN_IN_WITHIN, self._close_unless_signed_in)

    async def _sign_in(self, offered: SocketCredentials, request_id: frames.RequestId = None) -> None:
        again = self.signed is not None
        signed = await in_db(redeem_ticket, offered.ticket) if offered.ticket else await in_db(identify, offered.token)
        if self.signed is not None and self.signed.user.pk != signed.user.pk:
            raise errors.Forbidden
        self.signed = signed
        left = (signed.expires_at - datetime.now(UTC)).total_seconds()
        self._after(max(left, 0.0), self._say_expired)
        running = [] if again else await in_db(queries.running_generations, signed.user)
        ready = {
            "user_id": str(signed.user.pk),
            "protocol": frames.PROTOCOL,
            "heartbeat": frames.HEARTBEAT,
            "running": [running_entry(generation) for generation in running],
        }
        await self.send(frames.frame("ready", ready, request_id))

    def _after(self, seconds: float, call: Any) -> None:
        def run() -> None:
            spawn(call(), name="socket timer")

        self.timers.append(asyncio.get_running_loop().call_later(seconds, run))

    async def send_away(self) -> None:
        """Tell the client to come back, and close."""
        await self.send(frames.frame("reconnect", {"after_ms": secrets.randbelow(COME_BACK_WITHIN)}))
        await self.close(RESTART)

    async def _close_unless_signed_in(self) -> None:
        if self.signed is None:
            await self.close(NOT_SIGNED_IN)

    async def _say_expired(self) -> None:
        if self.signed is not None and self.signed.expires_at <= datetime.now(UTC):
            await self.send(frames.frame("auth_expired", {}))

    async def disconnect(self, code: int) -> None:
        self.open_sockets.discard(self)
        for timer in self.timers:
            timer.cancel()
        for conversation_id in self.watched:
            await self.hub.unwatch(conversation_id, self._conversation_news)
        await cancel(*self.following.values())

    async def send(self, *args: Any, **options: Any) -> None:
        """Send a frame. To somebody who has just gone it is lost in silence: `disconnect` follows, and what they missed
        they read when they are back."""
        with suppress(OSError):
            await super().send(*args, **options)

    # --- what comes in ---------------------------------------------------------

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.heard_at = time.monotonic()
        try:
            request_id, request = frames.parse(text_data if text_data is not None else bytes_data or b"")
        except (errors.BadFrame, errors.TooLarge) as exc:
            self.bad_frames += 1
            await self.send(frames.error(exc, exc.details.get("id")))
            if self.bad_frames >= BAD_FRAMES:
                await self.close(BAD)
            return
        self.bad_frames = 0
        await self._guarded(self._carry_out(request, request_id), request_id)

    async def _guarded(self, work: Any, request_id: frames.RequestId) -> None:
        """Do it; what goes wrong becomes an error frame and the socket stays open."""
        try:
            await work
        except errors.AppError as exc:
            await self.send(frames.error(exc, request_id))
        except DatabaseError:
            log.exception("the database failed a frame")
            await self.send(frames.error(errors.Unavailable(), request_id))
        except Exception:
            log.exception("a frame failed by a defect of ours")
            await self.send(frames.error(errors.AppError(), request_id))

    async def _carry_out(self, request: frames.Request, request_id: frames.RequestId) -> None:
        if isinstance(request, Auth):
            await self._sign_in(SocketCredentials(token=request.token), request_id)
        elif isinstance(request, Ping):
            await self.send(frames.frame("pong", {}, request_id))
        else:
            await self._carry_out_signed(self._signed_in(), request, request_id)

    async def _carry_out_signed(self, signed: Signed, request: frames.Request, request_id: frames.RequestId) -> None:
        match request:
            case Message():
                await self._send_message(signed, request, request_id)
            case Stop():
                await self._stop(signed, request, request_id)
            case Resume():
                await self._resume(signed, request, request_id)
            case Follow(session_id=session_id):
                await self._follow_conversation(signed, session_id, request_id)
            case Unfollow(session_id=session_id):
                await self._unfollow_conversation(signed, session_id, request_id)

    def _signed_in(self) -> Signed:
        if self.signed is None:
            raise errors.Unauthenticated
        if self.signed.expires_at <= datetime.now(UTC):
            raise errors.TokenExpired
        return self.signed

    async def _send_message(self, signed: Signed, asked: Message, request_id: frames.RequestId) -> None:
        send = Send(
            content=asked.content,
            conversation_id=asked.session_id,
            model_ref=asked.model_id,
            parent_id=asked.parent_id,
            client_message_id=asked.client_message_id,
            params=frames.given(asked.params),
        )
        accepted = await start_turn(signed.user, send)
        generation = accepted.generation
        # The answer to the request is event number 1, which every follower gets from the hub as well.
        event = Event("accepted", generation.attempt, 1, 1, data=accepted_data(generation))
        if accepted.duplicate:
            event.data["duplicate"] = True
        for text in About(generation).of(event, request_id):
            await self.send(text)
        if not accepted.duplicate:
            self._follow(generation, attempt=generation.attempt, after=1)

    async def _stop(self, signed: Signed, asked: Stop, request_id: frames.RequestId) -> None:
        wanted = await stop_turn(signed.user, generation_id=asked.generation_id, conversation_id=asked.session_id)
        code = "stopping" if wanted else "nothing_to_stop"
        data = {"code": code, "message": frames.notice_text(code), "generation_ids": [str(g.pk) for g in wanted]}
        await self.send(frames.frame("notice", data, request_id))

    async def _resume(self, signed: Signed, asked: Resume, request_id: frames.RequestId) -> None:
        generation: Generation | None
        if asked.generation_id is not None:
            generation = await in_db(queries.generation_for, signed.user, asked.generation_id)
        elif asked.session_id is not None:
            generation = await in_db(queries.latest_generation, signed.user, asked.session_id)
        else:
            raise errors.BadFrame
        if generation is None:
            nothing = {"generation_id": None, "attempt": 0, "from": 0, "to": 0, "recovered": True}
            await self.send(frames.frame("resumed", nothing, request_id))
            return
        self._follow(generation, attempt=asked.attempt, after=asked.after, resumed=True, request_id=request_id)

    async def _follow_conversation(self, signed: Signed, session_id: UUID, request_id: frames.RequestId) -> None:
        conversation = await in_db(queries.conversation_for, signed.user, session_id)
        if session_id not in self.watched:
            await self.hub.watch(session_id, self._conversation_news)
            self.watched.add(session_id)
        latest = await in_db(queries.latest_generation, signed.user, session_id)
        running = latest is not None and not latest.ended
        await self.send(frames.frame("session", _session(conversation, following=True), request_id))
        if latest is not None and running and latest.pk not in self.following:
            self._follow(latest, attempt=0, after=0)

    async def _unfollow_conversation(self, signed: Signed, session_id: UUID, request_id: frames.RequestId) -> None:
        conversation = await in_db(queries.conversation_for, signed.user, session_id)
        if session_id in self.watched:
            self.watched.discard(session_id)
            await self.hub.unwatch(session_id, self._conversation_news)
        await self.send(frames.frame("session", _session(conversation, following=False), request_id))

    # --- what goes out ---------------------------------------------------------

    def _conversation_news(self, news: dict[str, Any]) -> None:
        """Somebody began a turn in a conversation that this socket watches."""
        generation_id = UUID(news["generation"])
        if generation_id not in self.following:
            self.following[generation_id] = spawn(self._follow_news(generation_id), name=f"follow {generation_id}")

    async def _follow_news(self, generation_id: UUID) -> None:
        if self.signed is None:
            return
        try:
            generation = await in_db(queries.generation_for, self.signed.user, generation_id)
            await self._forward(generation, attempt=0, after=0, resumed=False, request_id=None)
        finally:
            self._let_go(generation_id)

    def _follow(
        self,
        generation: Generation,
        *,
        attempt: int,
        after: int,
        resumed: bool = False,
        request_id: frames.RequestId = None,
    ) -> None:
        """Forward a generation's events from a number on; replaces an earlier follow of the same one."""
        earlier = self.following.pop(generation.pk, None)

        async def follow() -> None:
            await cancel(earlier)
            try:
                await self._forward(generation, attempt=attempt, after=after, resumed=resumed, request_id=request_id)
            finally:
                self._let_go(generation.pk)

        self.following[generation.pk] = spawn(follow(), name=f"follow {generation.pk}")

    def _let_go(self, generation_id: UUID) -> None:
        if self.following.get(generation_id) is asyncio.current_task():
            del self.following[generation_id]

    async def _forward(
        self, generation: Generation, *, attempt: int, after: int, resumed: bool, request_id: frames.RequestId
    ) -> None:
        about = About(generation)

        async def standing() -> Snapshot:
            return await in_db(queries.standing, generation.pk)

        async with self.hub.listen(generation.pk, attempt=attempt, after=after, standing=standing) as listener:
            items = await listener.catch_up()
            if resumed:
                data = {
                    "generation_id": about.generation_id,
                    "attempt": listener.attempt,
                    "from": after,
                    "to": listener.last,
                    "recovered": listener.recovered,
                }
                await self.send(frames.frame("resumed", data, request_id))
            while True:
                for text in about.all_of(items):
                    await self.send(text)
                if listener.ended:
                    return
                items = await listener.read()


def running_entry(generation: Generation) -> dict[str, Any]:
    """What a returning client needs to resume a generation."""
    return {
        "generation_id": str(generation.pk),
        "session_id": str(generation.conversation_id),
        "message_id": str(generation.message_id),
        "attempt": generation.attempt,
    }


def _session(conversation: Conversation, *, following: bool) -> dict[str, Any]:
    return {
        "session_id": str(conversation.pk),
        "title": conversation.title,
        "model": conversation.model.qualified_name if conversation.model else None,
        "archived": conversation.archived_at is not None,
        "following": following,
    }


async def send_everybody_away() -> None:
    """This process is about to end: tell every client to come back, each after a moment of its own so that they do not
    all come at once, and close."""
    await asyncio.gather(*(socket.send_away() for socket in list(ChatConsumer.open_sockets)), return_exceptions=True)


# --- all sockets of this process, looked at together ----------------------------

_watching: "weakref.WeakSet[asyncio.AbstractEventLoop]" = weakref.WeakSet()


def _watch_sockets() -> None:
    loop = asyncio.get_running_loop()
    if loop not in _watching:
        _watching.add(loop)
        spawn(_look_at_sockets(), name="sockets: silence and sign-ins")


async def _look_at_sockets() -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY)
        sockets = list(ChatConsumer.open_sockets)
        now = time.monotonic()
        for socket in sockets:
            if now - socket.heard_at > SILENCE:
                await socket.close(1001)
        signed = {socket: socket.signed.device_id for socket in sockets if socket.signed is not None}
        try:
            valid = await in_db(devices_signed_in, set(signed.values()))
        except DatabaseError:
            continue  # nobody is signed out because the database is away
        for socket, device_id in signed.items():
            if device_id not in valid:
                await socket.close(NOT_SIGNED_IN)
