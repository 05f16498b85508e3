"""The proxy's configuration: that nginx takes it, and that it keeps what the server relies on."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.utils import translation

from chatplatform.kernel import errors

DOCKER = Path(__file__).resolve().parents[2] / "docker"
TEXT = (DOCKER / "nginx.conf").read_text(encoding="utf-8")
TLS_MARK = "#tls "
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8").replace(TLS_MARK, ""))
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")

Directive = tuple[list[str], "list[Directive] | None"]

TOKEN = re.compile(
    r"""\s+|\#[^\n]* | (?P<word>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | (?:\$\{|[^\s;{}"'])+) | (?P<mark>[;{}])""", re.X
)


def parse(text: str) -> list[Directive]:
    """Directives as `([name, argument, …], block or None)`; fails where nginx would call it a syntax error."""
    stack: list[list[Directive]] = [[]]
    words: list[str] = []
    position = 0
    while position < len(text):
        found = TOKEN.match(text, position)
        assert found, f"not understood: {text[position : position + 40]!r}"
        position = found.end()
        if found["word"]:
            words.append(found["word"].strip("\"'"))
        elif found["mark"] == "}":
            assert not words, f"no semicolon after {words}"
            assert len(stack) > 1, "a brace too many"
            stack.pop()
        elif found["mark"]:
            assert words, f"nothing before {text[position - 20 : position]!r}"
            block: list[Directive] | None = [] if found["mark"] == "{" else None
            stack[-1].append((words, block))
            words = []
            if block is not None:
                stack.append(block)
    assert not words, f"no semicolon after {words}"
    assert len(stack) == 1, "a brace too few"
    return stack[0]


def inside(directives: list[Directive], *names: str) -> list[Directive]:
    """The block of the first directive that begins with these words."""
    return next(block for words, block in directives if words[: len(names)] == list(names) and block is not None)


def values(directives: list[Directive], name: str) -> list[list[str]]:
    """The arguments of every directive of this name."""
    return [words[1:] for words, _ in directives if words[0] == name]


HTTP = inside(parse(TEXT), "http")
SERVER = inside(HTTP, "server")
LOCATION = inside(SERVER, "location", "/")


@pytest.mark.parametrize("text", [TEXT, TEXT.replace(TLS_MARK, "")], ids=["as it is", "with TLS"])
def test_the_file_is_taken(text, tmp_path):
    assert parse(text)
    if NGINX is None:
        return  # what follows asks the program itself, where there is one

    write_certificate(tmp_path)
    mine = text.replace(" /tmp/", f" {tmp_path}/").replace("/etc/nginx/tls", str(tmp_path))
    (tmp_path / "nginx.conf").write_text(mine, encoding="utf-8")
    answer = subprocess.run(
        [NGINX, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False
    )

    assert answer.returncode == 0, answer.stderr
    assert "[warn]" not in answer.stderr


def write_certificate(folder: Path) -> None:
    """A certificate of our own making, where the configuration looks for one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chat.example.com")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today)
        .not_valid_after(today + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def test_requests_go_to_the_web_service_on_its_port():
    port = COMPOSE["services"]["web"]["environment"]["PORT"]

    assert values(LOCATION, "set") == [["$web", "web"]]
    assert values(LOCATION, "proxy_pass") == [[f"http://$web:{port}"]]


def test_the_name_of_the_web_service_is_resolved_again_and_again():
    [[server, *options]] = values(HTTP, "resolver")

    assert server == "127.0.0.11", "the name server of a container network"
    assert "valid=5s" in options


def test_a_websocket_is_an_upgrade_and_nothing_else_is():
    upgrade, connection = inside(HTTP, "map", "$http_upgrade"), inside(HTTP, "map", "$upgrade")
    headers = dict(values(LOCATION, "proxy_set_header"))

    assert values(LOCATION, "proxy_http_version") == [["1.1"]]
    assert headers["Upgrade"] == "$upgrade"
    assert headers["Connection"] == "$connection_header"
    assert [words for words, _ in upgrade] == [["default", ""], ["~*^websocket$", "websocket"]]
    assert [words for words, _ in connection] == [["default", "close"], ["websocket", "upgrade"]]


def test_the_server_is_told_who_asked_and_how():
    headers = dict(values(LOCATION, "proxy_set_header"))

    assert headers["Host"] == "$http_host"
    assert headers["X-Real-IP"] == "$remote_addr"
    assert headers["X-Forwarded-For"] == "$proxy_add_x_forwarded_for"
    assert headers["X-Forwarded-Proto"] == "$scheme"
    assert COMPOSE["services"]["web"]["environment"]["TRUSTED_PROXIES"] == "1"


def test_streams_pass_at_once_and_may_pause():
    assert values(LOCATION, "proxy_buffering") == [["off"]]
    assert values(LOCATION, "proxy_read_timeout") == values(LOCATION, "proxy_send_timeout") == [["300s"]]


def test_what_a_stranger_sends_is_bounded():
    assert values(HTTP, "client_max_body_size") == [["10m"]]
    assert values(HTTP, "client_header_timeout") == [["10s"]]
    assert values(HTTP, "client_body_timeout") == [["15s"]]


def test_no_log_holds_a_query_string():
    formats = {name: set(re.findall(r"\$\{?(\w+)", " ".join(text))) for name, *text in values(HTTP, "log_format")}
    logs = values(parse(TEXT), "error_log") + values(HTTP, "error_log") + values(SERVER, "error_log")

    assert values(HTTP, "access_log") == [["/dev/stdout", "line"]]
    assert values(SERVER, "access_log") + values(LOCATION, "access_log") == []
    assert "uri" in formats["line"]
    assert not formats["line"] & {"request", "request_uri", "args", "query_string", "is_args", "http_referer"}
    assert not [name for name in formats["line"] if name.startswith("arg_")]
    assert [words[-1] for words in logs] == ["crit"], "lines of a lower level repeat the whole request"


@pytest.mark.parametrize(("page", "error"), [("@too_large", errors.TooLarge), ("@unavailable", errors.Unavailable)])
def test_what_it_says_itself_is_what_the_server_would_say(page, error):
    block = inside(SERVER, "location", page)
    [[status, body]] = values(block, "return")
    shown = yaml.safe_load(body)

    assert (int(status), shown["success"], shown["error"]["code"]) == (error.status, False, error.code)
    assert values(block, "default_type") == [["application/json; charset=utf-8"]]
    english, chinese = inside(HTTP, "map", "$http_accept_language", shown["error"]["message"])
    for (words, _), language in ((english, "en"), (chinese, "zh-hans")):
        with translation.override(language):
            assert words[1] == str(error.message)


def test_an_answer_is_made_for_every_failure_of_its_own():
    assert values(SERVER, "error_page") == [["413", "@too_large"], ["502", "503", "504", "=503", "@unavailable"]]


def test_it_listens_where_the_containers_expect_it():
    nginx = COMPOSE["services"]["nginx"]
    server = inside(inside(parse(TEXT.replace(TLS_MARK, "")), "http"), "server")
    listened = [arguments[0] for arguments in values(server, "listen")]
    certificate = re.search(r"ssl_certificate (\S+);", TEXT)

    assert [port.split(":")[1] for port in nginx["ports"]] == listened
    assert certificate
    assert f"./tls:{Path(certificate[1]).parent}:ro" in nginx["volumes"]
    assert "./nginx.conf:/etc/nginx/nginx.conf:ro" in nginx["volumes"]
