"""The peer: the least that a relay of chat completions can be, under the same server and with the same client library.

It decodes every chunk, as whoever counts tokens must, and passes the bytes on. It knows nobody, keeps nothing, and has
no second listener. Its socket says `ready` and is silent. What the product costs beside it is the price of the product.

    UPSTREAM=http://127.0.0.1:9000/v1 uvicorn tests.bench.relay:application
"""

import gc
import os
from typing import Any

import aiohttp
import msgspec

SSE = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]


class Delta(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    delta: Delta
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    choices: list[Choice]
    usage: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(Chunk).decode
_session: aiohttp.ClientSession


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The ASGI application."""
    match scope["type"]:
        case "lifespan":
            await _live(receive, send)
        case "http":
            await _relay(receive, send)
        case "websocket":
            await _hold(receive, send)


async def _live(receive: Any, send: Any) -> None:
    global _session
    await receive()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=2**18, auto_decompress=False) as _session:
        # The product does the same.
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _relay(receive: Any, send: Any) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message.get("more_body", False)
    address = os.environ["UPSTREAM"] + "/chat/completions"
    async with _session.post(address, data=body, headers={"content-type": "application/json"}) as answer:
        await send({"type": "http.response.start", "status": answer.status, "headers": SSE})
        rest = b""
        async for data in answer.content.iter_any():
            *events, rest = (rest + data).split(b"\n\n")
            for event in events:
                if event.startswith(b"data: {"):
                    _decode(event[6:])
            await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _hold(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": '{"type":"ready","data":{}}'})
    while (await receive())["type"] != "websocket.disconnect":
        pass
