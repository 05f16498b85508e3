"""What a socket's handshake offers of who opens it: a token or a ticket, in any of the ways a client may carry one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class SocketCredentials:
    """At most one of `token` and `ticket` is set; `subprotocol` is what the handshake must agree to."""

    token: str = field(default="", repr=False)
    ticket: str = field(default="", repr=False)
    subprotocol: str | None = None
    language: str = "en"


def socket_credentials(scope: Mapping[str, Any]) -> SocketCredentials:
    """From an ASGI scope: `Authorization: Bearer`, sub-protocol `bearer, <token>`, `?ticket=` or `?token=`.

    Cookies are not looked at: they come along with whatever page opens the socket. The language is `?language=`, for a
    page cannot set a header, or the first one of `Accept-Language`.
    """
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    offered = [protocol.strip() for protocol in scope.get("subprotocols", [])]
    subprotocol = "bearer" if "bearer" in offered else None
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    language = _language(query.get("language", [""])[0] or headers.get(b"accept-language", ""))
    scheme, _, bearer = headers.get(b"authorization", "").partition(" ")
    token = bearer.strip() if scheme.lower() == "bearer" else ""
    if not token and subprotocol:
        token = next((protocol for protocol in offered if protocol != "bearer"), "")
    ticket = "" if token else query.get("ticket", [""])[0]
    if not token and not ticket:
        token = query.get("token", [""])[0]
    return SocketCredentials(token=token, ticket=ticket, subprotocol=subprotocol, language=language)


def _language(asked: str) -> str:
    """One of our two: every other name would be remembered by the translation machinery, a catalogue each, for ever."""
    return "zh-hans" if asked.strip().lower().startswith("zh") else "en"
