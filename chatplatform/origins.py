"""Which pages may open a socket: absent is allowed (a mini-program sends none), present must be one we know.

Cookies never sign a socket in, so a foreign page gains nothing by opening one; this keeps it from trying.
"""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

# WeChat's developer tools and mini-programs send this one.
WECHAT = "https://servicewechat.com"
FOREIGN = 4403


def allowed(origin: str) -> bool:
    """Whether a page of this origin may open a socket."""
    if origin == WECHAT or origin in settings.ALLOWED_ORIGINS:
        return True
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        return False
    return validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS)


class OriginCheck:
    """ASGI middleware for sockets. A foreign page's socket is accepted only to be closed with 4403, because a browser
    does not show a refused handshake's reason to the page."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        if all(allowed(origin) for origin in origins):
            await self.inner(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": FOREIGN})
