"""Calling out: where a person's address may lead, and what a vendor may do with a request of ours.

Python itself reports every connection about to be made (its audit events): that list is the witness.
"""

import asyncio
import gzip
import ipaddress
import socket
import ssl
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from chatplatform.kernel import outbound
from chatplatform.kernel.errors import AddressRefused

connects: list[Any] = []


def _witness(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        connects.append(args[1])


sys.addaudithook(_witness)


@pytest.fixture(autouse=True)
def nobody_connected() -> None:
    connects.clear()


class StubResolver(aiohttp.abc.AbstractResolver):
    """A name server that answers as it is told, one answer per question."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = iter(answers)

    def addresses_of(self, host: str) -> list[str]:
        return next(self._answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        return [
            aiohttp.abc.ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses_of(host)
        ]

    async def close(self) -> None:
        pass


class LiberalResolver(StubResolver):
    """Reads numbers as the C library does, in octal, in hexadecimal or all in one, and knows one name."""

    def addresses_of(self, host: str) -> list[str]:
        if host.rstrip(".").lower() == "localhost":
            return ["127.0.0.1", "::1"]
        return [socket.inet_ntoa(socket.inet_aton(host))]


def resolved_by(session: aiohttp.ClientSession, resolver: StubResolver) -> None:
    connector = session.connector
    assert isinstance(connector, aiohttp.TCPConnector)
    connector._resolver = resolver
    connector._use_dns_cache = False


# --- Addresses ------------------------------------------------------------

# Literal addresses in every spelling that some parser takes for one, with the network they stand for.
LITERALS = [
    # Loopback.
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "127.255.255.254",
    "１２７.０.０.１",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "%31%32%37.0.0.1",
    "0",
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::1%25lo]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    # IPv4 inside IPv6.
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:7f00:1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2002::1]",
    "[2001:0:53aa:64c:0:0:80ff:fffe]",
    # Private, shared, link-local.
    "10.0.0.1",
    "10.255.255.255",
    "012.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "3232235521",
    "100.64.0.1",
    "100.127.255.255",
    "[fc00::1]",
    "[fd12:3456:789a::1]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fec0::1]",
    # Clouds' metadata and control planes.
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    # Reserved for something else than servers.
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[ff02::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[2001:2::1]",
    "[100::1]",
    "[5f00::1]",
    "[4000::1]",
]


@pytest.mark.parametrize("host", LITERALS)
async def test_a_persons_address_never_leads_into_a_network_that_is_not_public(host: str) -> None:
    resolved_by(outbound.session(trusted=False), LiberalResolver())

    # What not even the C library takes for an address is a name that does not exist.
    with pytest.raises((AddressRefused, aiohttp.ClientConnectorDNSError)):
        await outbound.request("GET", f"https://{host}/v1/models", trusted=False)

    assert connects == []


def test_there_are_enough_spellings() -> None:
    assert len(LITERALS) == len(set(LITERALS)) >= 60


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "https://api.example.com:8443/v1",
        "https://api.example.com:22/",
        "https://user@api.example.com/v1",
        "https://user:password@api.example.com/v1",
        "https://api.example.com@127.0.0.1/",
        "https://127.0.0.1#@api.example.com/",
        "https://api.example.com/v1#fragment",
        "https://api.example.com\\@127.0.0.1/",
        "https://api.example.com /v1",
        "https://api.example.com/v1\r\nX-Header: x",
        "https://api.example.com/\0",
        "https://api\u200b.example.com/",
        "https://api.example.com:99999/",
        "https://api.example.com:443:443/",
        "https:///v1",
        "https:/127.0.0.1/",
        "https:127.0.0.1",
        "//api.example.com/v1",
        "api.example.com",
        "",
        "file:///etc/passwd",
        "ftp://api.example.com/",
        "gopher://api.example.com/",
        "unix:///var/run/docker.sock",
        "ws://api.example.com/",
        "javascript:alert(1)",
        "https://" + "a" * 3000 + ".example.com/",
    ],
)
def test_an_address_that_is_not_plainly_one_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        outbound.check_address(url)


@pytest.mark.parametrize(
    "url",
    ["https://api.example.com", "https://api.example.com/v1", "https://api.example.com:80/v1", "https://例子.中国/v1"],
)
def test_an_ordinary_address_is_fine(url: str) -> None:
    outbound.check_address(url)


def test_an_operators_address_may_be_anywhere() -> None:
    for url in ("http://127.0.0.1:11434/v1", "http://ollama:11434/v1", "https://10.0.0.1:8443/v1"):
        outbound.check_address(url, trusted=True)
    for url in ("ftp://ollama/", "http://user@ollama/", "http://ollama/#x"):
        with pytest.raises(AddressRefused):
            outbound.check_address(url, trusted=True)


# Of the IANA special-purpose registries and of the clouds: one address from the beginning and the end of each network.
NOT_PUBLIC = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.192/32 192.0.2.0/24
192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 255.255.255.255/32
168.63.129.16/32 100.100.100.200/32
::/128 ::1/128 ::ffff:0:0/96 ::/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001::/32 2001:2::/48 2001:20::/28
2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8 fd00:ec2::254/128
"""
PUBLIC = "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.20.0.1 223.255.255.255 "
PUBLIC += "168.63.129.17 2001:4860:4860::8888 2606:4700::1111 2a00:1450:4001::200e 2400:3200::1"


def test_which_networks_are_public() -> None:
    for network in map(ipaddress.ip_network, NOT_PUBLIC.split()):
        assert outbound.forbidden(str(network[0])) and outbound.forbidden(str(network[-1])), network
    for address in PUBLIC.split():
        assert not outbound.forbidden(address), address


async def test_a_name_that_leads_inside_is_refused_before_anything_is_connected() -> None:
    for answers in (["10.0.0.1"], ["::1"], ["fe80::1"], ["192.168.1.1", "10.0.0.1"]):
        resolved_by(outbound.session(trusted=False), StubResolver(answers))
        with pytest.raises(AddressRefused):
            await outbound.request("GET", "https://rebound.example/", trusted=False)

    assert connects == []


async def test_a_name_that_changes_its_mind_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_route(loop: Any, sock: socket.socket, address: Any) -> None:
        connects.append(address)
        raise OSError("no route")

    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", no_route)
    resolved_by(outbound.session(trusted=False), StubResolver(["93.184.215.14"], ["127.0.0.1"]))

    with pytest.raises(aiohttp.ClientConnectorError):
        await outbound.request("GET", "https://rebound.example/", trusted=False)
    with pytest.raises(AddressRefused):
        await outbound.request("GET", "https://rebound.example/", trusted=False)

    assert connects == [("93.184.215.14", 443)]


async def test_the_same_through_the_transport_of_other_libraries() -> None:
    async with httpx2.AsyncClient(transport=outbound.GuardedTransport(trusted=False), trust_env=False) as client:
        for url in ("https://127.0.0.1/", "http://api.example.com/", "https://localhost/"):
            with pytest.raises(AddressRefused):
                await client.get(url)

    assert connects == []


# --- Allowed by the operator ----------------------------------------------


async def test_an_address_that_the_operator_allows_is_called(httpserver: HTTPServer, settings: Settings) -> None:
    httpserver.expect_request("/v1").respond_with_data("fine")
    url = httpserver.url_for("/v1")
    with pytest.raises(AddressRefused):
        await outbound.request("GET", url, trusted=False)

    settings.OUTBOUND_ALLOW = [f"{httpserver.host}:{httpserver.port}".upper()]
    response = await outbound.request("GET", url, trusted=False)

    assert await response.text() == "fine"
    assert ("127.0.0.1", httpserver.port) in connects
    with pytest.raises(AddressRefused):
        await outbound.request("GET", f"http://127.0.0.2:{httpserver.port}/v1", trusted=False)
    with pytest.raises(AddressRefused):
        await outbound.request("GET", f"http://{httpserver.host}:{httpserver.port + 1}/v1", trusted=False)


def test_an_ipv6_address_is_allowed_in_brackets(settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = ["[::1]:8080"]

    outbound.check_address("http://[::1]:8080/v1")
    outbound.check_address("http://[0:0:0:0:0:0:0:1]:8080/v1")


# --- What a server may do with a request ----------------------------------


async def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_said(tmp_path: Path) -> None:
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read())

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=_own_certificate(tmp_path))
    async with server:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            port = server.sockets[0].getsockname()[1]
            await outbound.request("GET", f"https://localhost:{port}/", trusted=True)

    assert heard == b""


def _own_certificate(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_a_redirect_is_an_answer_and_not_an_order(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a").respond_with_data("", 302, {"Location": httpserver.url_for("/b")})

    response = await outbound.request("GET", httpserver.url_for("/a"), trusted=True)

    assert response.status == 302
    assert len(httpserver.log) == 1


async def test_a_compressed_body_is_refused(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data(gzip.compress(b"x" * 10**6), headers={"Content-Encoding": "gzip"})

    with pytest.raises(outbound.EncodedBody):
        await outbound.request("GET", httpserver.url_for("/"), trusted=True, headers={"Accept-Encoding": "gzip"})

    assert httpserver.log[0][0].headers["Accept-Encoding"] == "identity"


async def test_proxies_and_passwords_of_the_environment_are_not_used(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine {httpserver.host} login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    httpserver.expect_request("/").respond_with_data("direct")

    response = await outbound.request("GET", httpserver.url_for("/"), trusted=True)

    assert await response.text() == "direct"
    assert "Authorization" not in httpserver.log[0][0].headers


async def test_cookies_are_forgotten(httpserver: HTTPServer) -> None:
    seen: list[str | None] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get("Cookie"))
        return Response("ok", headers={"Set-Cookie": "a=b"})

    httpserver.expect_request("/").respond_with_handler(answer)
    async with httpx2.AsyncClient(transport=outbound.GuardedTransport(trusted=True), trust_env=False) as client:
        for _ in range(2):
            await client.get(httpserver.url_for("/"))
    for _ in range(2):
        (await outbound.request("GET", httpserver.url_for("/"), trusted=True)).close()

    assert seen == [None] * 4


async def test_a_server_that_does_not_take_the_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "CONNECT_SECONDS", 0.3)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with _queued(full), pytest.raises(aiohttp.ConnectionTimeoutError):
            await outbound.request("GET", f"http://127.0.0.1:{full.getsockname()[1]}/", trusted=True)


class _queued:
    """Connections that wait to be accepted, so that no other one fits into the queue."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening

    def __enter__(self) -> None:
        self._waiting = []
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(self._listening.getsockname())
            self._waiting.append(waiting)

    def __exit__(self, *error: object) -> None:
        for waiting in self._waiting:
            waiting.close()


# --- The transport --------------------------------------------------------


async def test_libraries_are_told_in_their_own_words(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/gzip").respond_with_data(gzip.compress(b"x"), headers={"Content-Encoding": "gzip"})
    httpserver.expect_request("/slow").respond_with_handler(lambda _: asyncio.run(_late()))
    async with httpx2.AsyncClient(transport=outbound.GuardedTransport(trusted=True), trust_env=False) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("http://127.0.0.1:1/")
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(httpserver.url_for("/gzip"))
        with pytest.raises(httpx2.ReadTimeout):
            await client.get(httpserver.url_for("/slow"), timeout=httpx2.Timeout(None, read=0.1))


async def _late() -> Response:
    await asyncio.sleep(0.4)
    return Response("late")


async def test_a_body_is_sent_and_an_answer_read(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/", method="POST", json={"a": "你"}).respond_with_json({"b": 1})

    async with httpx2.AsyncClient(transport=outbound.GuardedTransport(trusted=True), trust_env=False) as client:
        answer = await client.post(httpserver.url_for("/"), json={"a": "你"})

    assert (answer.status_code, answer.json()) == (200, {"b": 1})


async def test_of_an_error_only_the_beginning_is_read(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data(b"x" * 10**6, 500)

    async with httpx2.AsyncClient(transport=outbound.GuardedTransport(trusted=True), trust_env=False) as client:
        answer = await client.get(httpserver.url_for("/"))

    assert answer.content == b"x" * outbound.LONGEST_ERROR


# --- Sessions -------------------------------------------------------------


async def test_the_two_sessions_share_nothing() -> None:
    guarded, trusted = outbound.session(trusted=False), outbound.session(trusted=True)

    assert guarded is outbound.session()
    assert trusted is outbound.session(trusted=True)
    assert guarded.connector is not trusted.connector


async def test_a_session_closed_is_made_anew() -> None:
    before = outbound.session()
    await outbound.close()

    assert before.closed
    assert not outbound.session().closed


def test_sync_code_calls_out_on_a_loop_of_its_own(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data("fine")

    async def called() -> tuple[str, aiohttp.ClientSession]:
        response = await outbound.request("GET", httpserver.url_for("/"), trusted=True)
        return await response.text(), outbound.session(trusted=True)

    text, session = outbound.run(called())

    assert text == "fine"
    assert session.closed


def test_sessions_of_loops_that_have_ended_are_let_go() -> None:
    async def left_open() -> aiohttp.ClientSession:
        return outbound.session()

    left = asyncio.run(left_open())
    next_one = asyncio.run(left_open())

    assert left not in outbound._sessions.values()
    for session in (left, next_one):
        asyncio.run(session.close())
