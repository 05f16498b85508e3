"""`manage.py serve`: this process answers, under daphne or uvicorn, with our limits instead of their defaults.

Told to stop, both servers close their sockets at once: uvicorn before it says so to the application, daphne without a
word to anybody. So the stop signal comes to us first, and to the server when everything has ended in order
(`lifetime.leave`). A second signal does not wait.
"""

import asyncio
import logging
import signal
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from chatplatform.kernel.tasks import consume_inside

log = logging.getLogger(__name__)

# Bytes of one frame from a client that a server takes in at all. Above our own limit, which answers with an error that
# says so: a client whose socket is simply closed would send the same again.
FRAME_BYTES = 256 * 1024
HANDSHAKE_SECONDS = 5
PING_EVERY, PONG_WITHIN = 20, 20
# How long a connection may take to end after the stop signal.
CLOSE_SECONDS = 5
STOP = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    help = "Answer HTTP and sockets. One process; run several behind a proxy for more."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--server", choices=("uvicorn", "daphne"), default="uvicorn")
        parser.add_argument("--host", default=settings.HOST)
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument("--jobs", action="store_true", help="run background jobs in this process too")

    def handle(self, *args: Any, **options: Any) -> None:
        log.info("serving", extra={name: options[name] for name in ("server", "host", "port", "jobs")})
        jobs = consume_inside() if options["jobs"] else None
        try:
            serve = run_daphne if options["server"] == "daphne" else run_uvicorn
            serve(options["host"], options["port"])
        finally:
            if jobs is not None:
                jobs.stop(graceful=True)


class DrainingServer(uvicorn.Server):
    """uvicorn that leaves in order."""

    _leaving: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._leaving is None and self.started:
            self._loop.call_soon_threadsafe(self._leave, sig, frame)
        else:
            super().handle_exit(sig, frame)

    async def startup(self, sockets: Any = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def _leave(self, sig: int, frame: FrameType | None) -> None:
        from chatplatform import lifetime

        self._leaving = self._loop.create_task(lifetime.leave(), name="leave")
        self._leaving.add_done_callback(lambda _: super(DrainingServer, self).handle_exit(sig, frame))


def run_uvicorn(host: str, port: int) -> None:
    """Serve until told to stop. Production's server: it knows flow control, daphne does not."""
    from chatplatform.asgi import application

    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=FRAME_BYTES,
        ws_ping_interval=PING_EVERY,
        ws_ping_timeout=PONG_WITHIN,
        # A compressed frame can be a thousand times larger than it looks, and ours are small.
        ws_per_message_deflate=False,
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        # Whose address a request has is decided in one place of ours, by TRUSTED_PROXIES.
        proxy_headers=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    DrainingServer(config).run()


def run_daphne(host: str, port: int) -> None:
    """Serve until told to stop. The development server; supported in production too."""
    from daphne.endpoints import build_endpoint_description_strings
    from daphne.server import Server
    from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
    from twisted.internet import reactor

    from chatplatform import lifetime
    from chatplatform.asgi import application

    class Protocol(WebSocketProtocol):  # type: ignore[misc]
        """Daphne's, able to close with every code that the protocol knows: the library underneath refuses to send 1001
        and 1012 to a client, and raises."""

        def serverClose(self, code: int | None = None) -> None:
            self.sendCloseFrame(code=1000 if code is None else code)

    WebSocketFactory.protocol = Protocol
    server = Server(
        application,
        endpoints=build_endpoint_description_strings(host=host, port=port),
        signal_handlers=False,
        websocket_max_message_size=FRAME_BYTES,
        websocket_max_frame_size=FRAME_BYTES,
        websocket_handshake_timeout=HANDSHAKE_SECONDS,
        ping_interval=PING_EVERY,
        ping_timeout=PONG_WITHIN,
        application_close_timeout=CLOSE_SECONDS,
        verbosity=0,
        server_name="",
    )
    leaving: list[asyncio.Task[None]] = []

    def stop() -> None:
        if leaving:
            leaving[0].cancel()  # a second signal does not wait
        else:
            leaving.append(asyncio.get_running_loop().create_task(lifetime.leave(), name="leave"))
            leaving[0].add_done_callback(lambda _: server.stop())

    def listen_to_signals() -> None:
        for number in STOP:
            asyncio.get_event_loop().add_signal_handler(number, stop)

    reactor.callWhenRunning(listen_to_signals)
    server.run()
    if server.abort_start or not server.listening_addresses:
        raise SystemExit(f"Port {port} on {host} cannot be opened. Choose another one with PORT=….")
