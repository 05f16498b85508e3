"""`/ws/chat`: one person's socket. It starts turns, follows them and stops them; it never runs them.

Signing in, any of: `?token=` · `?ticket=` · `Authorization: Bearer` · sub-protocol `bearer, <token>` · first frame
`auth`. Cookies never sign a socket in. Closing the socket ends the following, never the turn.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError
from django.utils import translation

from accounts.authentication import Signed, identify, redeem_ticket
from accounts.clients import client_ip, neighbourhood
from accounts.credentials import SocketCredentials, socket_credentials
from chatplatform.kernel import errors, health
from chatplatform.kernel.background import cancel, spawn
from chatplatform.kernel.db import in_db
from conversations import limits, queries
from conversations.generation.engine import accepted_data
from conversations.generation.turn import continue_turn, start_turn, stop_turn
from conversations.limits import FrameBucket
from conversations.models import Conversation, Generation
from conversations.realtime import frames
from conversations.realtime.frames import (
    About,
    Ack,
    Auth,
    Continue,
    Follow,
    Message,
    Ping,
    Resume,
    Stop,
    Unfollow,
)
from conversations.realtime.sockets import BAD, NOT_SIGNED_IN, RESTART, TOO_MANY, TOO_SLOW, TRY_AGAIN, sockets
from conversations.realtime.window import Pace, TooSlow, Window
from conversations.services.messages import Send
from conversations.streaming.events import Event, Snapshot
from conversations.streaming.hub import Hub, hub

log = logging.getLogger(__name__)

# Seconds a socket may stay without signing in.
SIGN_IN_WITHIN = 10.0
# A bad frame earns an error; so many in a row, the close.
BAD_FRAMES = 3

# Milliseconds over which clients are spread when they are sent away.
COME_BACK_WITHIN = 5000


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One socket of one person."""

    # Replies reach this process through the hub, once for all its sockets; a consumer has no channel of its own.
    channel_layer_alias = ""

    hub: Hub

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.signed: Signed | None = None
        self.address = ""
        self.heard_at = time.monotonic()
        self.closing = False
        self.bad_frames = 0
        self.frames_left = FrameBucket(*limits.FRAMES)
        self.acks_left = FrameBucket(*limits.ACKNOWLEDGEMENTS)
        self.following: dict[UUID, asyncio.Task[Any]] = {}
        self.pace = Pace()
        self.windows: dict[UUID, Window] = {}
        self.watched: set[UUID] = set()
        self.timers: list[asyncio.TimerHandle] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # However it ends: a server may drop a connection without a disconnect that reaches us.
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._release()

    # --- opening, signing in, closing ----------------------------------------

    async def connect(self) -> None:
        self.address = neighbourhood(client_ip(self.scope))
        self.hub = await hub()
        offered = socket_credentials(self.scope)
        translation.activate(offered.language)
        await self.accept(subprotocol=offered.subprotocol)
        if health.draining():
            await self.send_away()
            return
        unsigned = not (offered.token or offered.ticket)
        if not sockets.enter(self, unsigned=unsigned):
            await self.close(TOO_MANY)
        elif unsigned:
            self._after(SIGN_IN_WITHIN, self._close_unless_signed_in)
        elif (refused := await self._guarded(self._sign_in(offered), None)) is not None:
            # Only a refusal of the token may cost a client its session; when we cannot look, it comes back.
            await self.close(NOT_SIGNED_IN if isinstance(refused, errors.Unauthenticated) else TRY_AGAIN)

    async def _sign_in(self, offered: SocketCredentials, request_id: frames.RequestId = None) -> None:
        again = self.signed is not None
        signed = await in_db(redeem_ticket, offered.ticket) if offered.ticket else await in_db(identify, offered.token)
        if self.signed is None and not sockets.sign_in(self, signed.user.pk):
            await self.close(TOO_MANY)
            return
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

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the socket; the first reason given is the one that its client sees."""
        if not self.closing:
            self.closing = True
            with suppress(OSError):
                await super().close(code, reason)

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

    async def _release(self) -> None:
        self.closing = True
        sockets.leave(self)
        for timer in self.timers:
            timer.cancel()
        for conversation_id in self.watched:
            await self.hub.unwatch(conversation_id, self._conversation_news)
        await cancel(*self.following.values())

    async def send(self, frame: str) -> None:
        """Send a frame. To somebody who has just gone it is lost in silence: `disconnect` follows, and what they missed
        they read when they are back."""
        if not self.closing:
            with suppress(OSError):
                await self.base_send({"type": "websocket.send", "text": frame})

    # --- what comes in ---------------------------------------------------------

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.closing:
            return
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
        bucket = self.acks_left if isinstance(request, Ack) else self.frames_left
        if not bucket.take():
            await self.close(TOO_MANY)
            return
        await self._guarded(self._carry_out(request, request_id), request_id)

    async def _guarded(self, work: Coroutine[Any, Any, None], request_id: frames.RequestId) -> errors.AppError | None:
        """Do it; what goes wrong becomes an error frame, is returned, and the socket stays open."""
        wrong: errors.AppError
        try:
            await work
            return None
        except errors.AppError as exc:
            wrong = exc
        except DatabaseError:
            log.exception("the database failed a frame")
            wrong = errors.Unavailable()
        except Exception:
            log.exception("a frame failed by a defect of ours")
            wrong = errors.AppError()
        await self.send(frames.error(wrong, request_id))
        return wrong

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
            case Continue(message_id=message_id, model_id=model_id):
                self._refuse_beyond_what_can_be_followed()
                generation = await continue_turn(signed.user, message_id=message_id, model_ref=model_id)
                await self._accepted(generation, request_id)
            case Stop():
                await self._stop(signed, request, request_id)
            case Resume():
                await self._resume(signed, request, request_id)
            case Ack(generation_id=generation_id, seq=seq):
                if window := self.windows.get(generation_id):
                    window.acknowledge(seq)
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
        self._refuse_beyond_what_can_be_followed()
        accepted = await start_turn(signed.user, send)
        await self._accepted(accepted.generation, request_id, duplicate=accepted.duplicate)

    async def _accepted(self, generation: Generation, request_id: frames.RequestId, *, duplicate: bool = False) -> None:
        # The answer to the request is event number 1, which every follower gets from the hub as well.
        event = Event("accepted", generation.attempt, 1, 1, data=accepted_data(generation))
        if duplicate:
            event.data["duplicate"] = True
        for text in About(generation).of(event, request_id):
            await self.send(text)
        if not duplicate:
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
            if len(self.watched) >= limits.WATCHED_PER_SOCKET:
                raise errors.RateLimited
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
        if generation_id not in self.following and len(self.following) < limits.FOLLOWED_PER_SOCKET:
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
        """Forward a generation's events from a number on; replaces an earlier follow of the same one. RateLimited if
        the socket follows too many."""
        earlier = self.following.pop(generation.pk, None)
        self._refuse_beyond_what_can_be_followed()

        async def follow() -> None:
            await cancel(earlier)
            try:
                await self._forward(generation, attempt=attempt, after=after, resumed=resumed, request_id=request_id)
            finally:
                self._let_go(generation.pk)

        self.following[generation.pk] = spawn(follow(), name=f"follow {generation.pk}")

    def _refuse_beyond_what_can_be_followed(self) -> None:
        if len(self.following) >= limits.FOLLOWED_PER_SOCKET:
            raise errors.RateLimited

    def _let_go(self, generation_id: UUID) -> None:
        if self.following.get(generation_id) is asyncio.current_task():
            del self.following[generation_id]
            self.windows.pop(generation_id, None)

    async def _forward(
        self, generation: Generation, *, attempt: int, after: int, resumed: bool, request_id: frames.RequestId
    ) -> None:
        about = About(generation)
        window = self.windows[generation.pk] = Window(self.pace)

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
                window.reaching(listener.last)
                for seq, text in about.all_of(items):
                    await self.send(text)
                    await window.sent(seq, len(text) if text.isascii() else len(text.encode()))
                if listener.ended:
                    return
                try:
                    await window.room()
                except TooSlow:
                    await self.close(TOO_SLOW)
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
