"""The one way out: every HTTP request of ours leaves through `request()`, or through `GuardedTransport`, which uses it.

There are two sessions per event loop. The trusted one calls addresses that an operator's settings or our own table
name, and may go anywhere. The guarded one calls what a person or a web page named: `https` only, to the usual ports,
and never into a network that is not part of the public internet. That is checked where nothing can slip past it, on
each address about to be connected, after every resolution and for literal addresses too; so a name that points
somewhere else the next time it is asked gains nothing.

Both follow no redirect, keep no cookie, read no proxy from the environment and accept no compressed body.

Known limit: a host that reaches IPv4 only through NAT64 cannot use the guarded session, because the prefix that leads
there leads into private networks as well. `OUTBOUND_ALLOW` lifts the ban for single addresses.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import aiohttp
import httpx2
from django.conf import settings
from yarl import URL

from chatplatform.kernel.errors import AddressRefused

T = TypeVar("T")

CONNECT_SECONDS = 5.0
# What a socket may hold before its reader has taken it: large enough that a burst of small events is read in one go.
READ_BUFFER = 2**18
# An error's text is read to find its code, by libraries that read all there is. No honest one is longer.
LONGEST_ERROR = 64 * 1024
LONGEST_ADDRESS = 2048
USUAL_PORTS = (443, 80)

# Our own list, because `ipaddress.is_global` has been wrong about several of these (CVE-2024-4032) and calls others
# global that lead to a cloud's control plane.
FORBIDDEN = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a provider's NAT; also Alibaba Cloud's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's control plane
        "169.254.0.0/16",  # link-local; also most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; also Oracle Cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        # Global unicast is 2000::/3. Outside of it lie loopback, IPv4 in its mapped, compatible and NAT64 spellings,
        # unique local, link-local and site-local networks, and multicast.
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: any IPv4 address
        "3fff::/20",  # documentation
    )
)


class EncodedBody(aiohttp.ClientError):
    """The server compressed its answer although it was told not to: a small body may be a very large one."""


def forbidden(address: str) -> bool:
    """Whether a literal IP address lies outside the public internet."""
    ip = ipaddress.ip_address(address)
    return any(ip in network for network in FORBIDDEN)


def _allowed(url: URL) -> bool:
    """Whether an operator vouches for this host and port."""
    host = url.raw_host or ""
    pair = f"[{host}]:{url.port}" if ":" in host else f"{host}:{url.port}"
    return pair in {each.lower() for each in settings.OUTBOUND_ALLOW}


def check_address(url: str, *, trusted: bool = False) -> URL:
    """`url`, parsed, if it may be called as far as its spelling tells; AddressRefused otherwise.

    Where a name leads is checked when it is connected.
    """
    if len(url) > LONGEST_ADDRESS or not url.isprintable() or " " in url or "\\" in url:
        raise AddressRefused
    try:
        parsed = URL(url)
    except ValueError:
        raise AddressRefused from None
    host = parsed.raw_host
    if parsed.scheme not in {"http", "https"} or not host or "@" in parsed.raw_authority or "#" in url:
        raise AddressRefused
    if trusted or _allowed(parsed):
        return parsed
    if parsed.scheme != "https" or parsed.port not in USUAL_PORTS or _is_forbidden_literal(host):
        raise AddressRefused
    return parsed


def _is_forbidden_literal(host: str) -> bool:
    try:
        return forbidden(host)
    except ValueError:
        return False  # a name


def _guarded_socket(destination: aiohttp.AddrInfoType) -> socket.socket:
    """The socket for an address about to be connected; AddressRefused, before anything is sent, if it is forbidden."""
    family, kind, protocol, _, address = destination
    if forbidden(address[0]):
        raise AddressRefused
    return socket.socket(family, kind, protocol)


_sessions: dict[tuple[asyncio.AbstractEventLoop, bool], aiohttp.ClientSession] = {}


def session(*, trusted: bool = False) -> aiohttp.ClientSession:
    """The running loop's session; `request()` adds what a session cannot enforce by itself."""
    loop = asyncio.get_running_loop()
    if (found := _sessions.get((loop, trusted))) is not None:
        return found
    for key in tuple(_sessions):  # a session keeps its loop alive, so that a dictionary with weak keys would keep both
        if key[0].is_closed():
            _sessions.pop(key, None)
    connector = (
        aiohttp.TCPConnector(limit=0)
        if trusted
        # Addresses in turn instead of a race between them, in which a refusal would be one failure among others.
        else aiohttp.TCPConnector(limit=0, socket_factory=_guarded_socket, happy_eyeballs_delay=None)
    )
    _sessions[loop, trusted] = made = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
        read_bufsize=READ_BUFFER,
        auto_decompress=False,
        trust_env=False,
    )
    return made


async def close() -> None:
    """Close the running loop's sessions, if there are any."""
    for trusted in (True, False):
        if (found := _sessions.pop((asyncio.get_running_loop(), trusted), None)) is not None:
            await found.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    """For sync code that calls out: run `work` on an event loop of its own, close its sessions, return its result."""

    async def whole() -> T:
        try:
            return await work
        finally:
            await close()

    return asyncio.run(whole())


async def request(
    method: str,
    url: str,
    *,
    trusted: bool,
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
    read_seconds: float | None = None,
) -> aiohttp.ClientResponse:
    """Send a request and return its response once the headers are there; whoever gets it closes it with `abandon()`.

    `read_seconds` bounds each wait for bytes; none: the caller keeps the time. Raises AddressRefused and aiohttp's
    errors.
    """
    address = check_address(url, trusted=trusted)
    try:
        response = await session(trusted=trusted or _allowed(address)).request(
            method,
            address,
            headers={**(headers or {}), "Accept-Encoding": "identity"},
            data=data,
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=read_seconds),
            allow_redirects=False,
        )
    except aiohttp.InvalidURL:  # such as 127.1, which some would take for an address and others for a name
        raise AddressRefused from None
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        abandon(response)
        raise EncodedBody
    return response


def abandon(response: aiohttp.ClientResponse) -> None:
    """Be done with a response. One that was not read to its end loses its connection at once, with no farewell that a
    silent server could draw out."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


# What an httpx2 client expects to be told, by what aiohttp says. First match wins.
TRANSLATED: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (TimeoutError, httpx2.ReadTimeout),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.ClientConnectionError, httpx2.ReadError),
    (aiohttp.ClientError, httpx2.RemoteProtocolError),
)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as exc:
        error = next(theirs for ours, theirs in TRANSLATED if isinstance(exc, ours))
        raise error(type(exc).__name__) from exc


class _Body(httpx2.AsyncByteStream):
    """A response's bytes as they arrive, uncopied; of an error, its beginning."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = None if self._response.status < 300 else LONGEST_ERROR
        with _translated():
            while chunk := await self._response.content.readany():
                yield chunk[:left]
                if left is not None and (left := left - len(chunk)) <= 0:
                    return

    async def aclose(self) -> None:
        abandon(self._response)


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Lets libraries that speak httpx2 ride on our sessions. Works on whichever event loop is running.

    The response's extension `aiohttp_response` is the response underneath, for readers to whom the layers between are
    too dear. Closing the response closes the connection at once.
    """

    def __init__(self, *, trusted: bool) -> None:
        self._trusted = trusted

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        with _translated():
            response = await _send(request, trusted=self._trusted)
        return httpx2.Response(
            response.status,
            # Cookies would be kept by the client and given to the next person's request.
            headers=[(name, value) for name, value in response.raw_headers if name.lower() != b"set-cookie"],
            stream=_Body(response),
            extensions={"aiohttp_response": response},
        )


# Set by aiohttp, which frames the message and manages the connection.
FRAMING = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}


async def _send(message: httpx2.Request, *, trusted: bool) -> aiohttp.ClientResponse:
    return await request(
        message.method,
        str(message.url),
        trusted=trusted,
        headers={name: value for name, value in message.headers.items() if name not in FRAMING},
        data=await message.aread() or None,
        read_seconds=message.extensions.get("timeout", {}).get("read"),
    )
