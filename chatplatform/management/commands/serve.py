"""`manage.py serve`: this process answers, under daphne or uvicorn, with our limits instead of their defaults."""

import logging
from typing import Any

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


def run_uvicorn(host: str, port: int) -> None:
    """Serve until told to stop. Production's server: it knows flow control, daphne does not."""
    import uvicorn

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
    uvicorn.Server(config).run()


def run_daphne(host: str, port: int) -> None:
    """Serve until told to stop. The development server; supported in production too."""
    from daphne.endpoints import build_endpoint_description_strings
    from daphne.server import Server
    from twisted.internet import defer, reactor

    from chatplatform import lifetime
    from chatplatform.asgi import application

    server = Server(
        application,
        endpoints=build_endpoint_description_strings(host=host, port=port),
        websocket_max_message_size=FRAME_BYTES,
        websocket_max_frame_size=FRAME_BYTES,
        websocket_handshake_timeout=HANDSHAKE_SECONDS,
        ping_interval=PING_EVERY,
        ping_timeout=PONG_WITHIN,
        application_close_timeout=CLOSE_SECONDS,
        verbosity=0,
        server_name="",
    )

    def leave() -> Any:
        import asyncio

        return defer.Deferred.fromFuture(asyncio.ensure_future(lifetime.leave()))

    # Daphne has no lifespan: its end is told to us by the reactor, which waits for what we return.
    reactor.addSystemEventTrigger("before", "shutdown", leave)  # type: ignore[arg-type]
    server.run()
    if server.abort_start or not server.listening_addresses:
        raise SystemExit(f"Port {port} on {host} cannot be opened. Choose another one with PORT=….")
