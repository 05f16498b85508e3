"""Whose address a limit counts and the audit trail names: never one the caller made up."""

import pytest
from django.test import RequestFactory

from accounts.clients import Origin, client_ip, origin_of

PEER = "198.51.100.1"

FORGERIES = [
    {"HTTP_X_FORWARDED_FOR": "10.0.0.1"},
    {"HTTP_X_FORWARDED_FOR": "127.0.0.1, 10.0.0.1"},
    {"HTTP_X_FORWARDED_FOR": ", ,"},
    {"HTTP_X_FORWARDED_FOR": "unknown"},
    {"HTTP_X_FORWARDED_FOR": "10.0.0.1:80"},
    {"HTTP_X_FORWARDED_FOR": "[::1]:80"},
    {"HTTP_X_FORWARDED_FOR": "::1%eth0"},
    {"HTTP_X_FORWARDED_FOR": "a" * 10_000},
    {"HTTP_X_FORWARDED_FOR": "'; DROP TABLE users; --"},
    {"HTTP_X_FORWARDED_FOR": "\x00"},
    {"HTTP_X_FORWARDED_FOR": "1" * 100},
    {"HTTP_X_FORWARDED": "for=10.0.0.1"},
    {"HTTP_FORWARDED": "for=10.0.0.1"},
    {"HTTP_FORWARDED_FOR": "10.0.0.1"},
    {"HTTP_X_REAL_IP": "10.0.0.1"},
    {"HTTP_X_CLIENT_IP": "10.0.0.1"},
    {"HTTP_CLIENT_IP": "10.0.0.1"},
    {"HTTP_TRUE_CLIENT_IP": "10.0.0.1"},
    {"HTTP_CF_CONNECTING_IP": "10.0.0.1"},
    {"HTTP_X_CLUSTER_CLIENT_IP": "10.0.0.1"},
    {"HTTP_VIA": "10.0.0.1"},
    {"HTTP_REMOTE_ADDR": "10.0.0.1"},
]


def request(peer=PEER, **environ):
    return RequestFactory().get("/", REMOTE_ADDR=peer, **environ)


def scope(*headers, client=(PEER, 1234)):
    return {
        "type": "websocket",
        "client": client,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


@pytest.mark.parametrize("forgery", FORGERIES)
def test_without_a_proxy_no_header_counts(settings, forgery):
    settings.TRUSTED_PROXIES = 0
    assert client_ip(request(**forgery)) == PEER


@pytest.mark.parametrize("forgery", FORGERIES)
def test_behind_a_proxy_only_what_the_proxy_wrote_counts(settings, forgery):
    settings.TRUSTED_PROXIES = 1
    sent = forgery.get("HTTP_X_FORWARDED_FOR")
    written = "192.0.2.9" if sent is None else f"{sent}, 192.0.2.9"
    assert client_ip(request(**forgery | {"HTTP_X_FORWARDED_FOR": written})) == "192.0.2.9"


@pytest.mark.parametrize(
    ("proxies", "header", "expected"),
    [
        (1, "", PEER),
        (1, "192.0.2.9", "192.0.2.9"),
        (1, "not an address", PEER),
        (2, "10.6.6.6, 192.0.2.9, 10.0.0.2", "192.0.2.9"),
        (2, "192.0.2.9", "192.0.2.9"),
        (1, "192.0.2.9:5555", "192.0.2.9"),
        (1, "[2001:db8::9]:5555", "2001:db8::9"),
        (1, "2001:DB8:0::9", "2001:db8::9"),
        (1, "::ffff:192.0.2.9", "192.0.2.9"),
        (1, "fe80::1%eth0", "fe80::1"),
    ],
)
def test_a_request_and_a_socket_are_read_alike(settings, proxies, header, expected):
    settings.TRUSTED_PROXIES = proxies
    assert client_ip(request(HTTP_X_FORWARDED_FOR=header)) == expected
    assert client_ip(scope(("x-forwarded-for", header))) == expected


def test_several_headers_are_one_list_and_a_lookalike_is_none(settings):
    settings.TRUSTED_PROXIES = 1
    headers = [("x-forwarded-for", "10.0.0.1"), ("x-forwarded-for", "192.0.2.9"), ("x_forwarded_for", "10.0.0.2")]
    assert client_ip(scope(*headers)) == "192.0.2.9"


def test_a_unix_socket_has_no_address():
    assert client_ip(scope(client=None)) == client_ip(scope(client=("", 0))) == client_ip(request(peer="")) == ""


def test_the_programs_name_is_kept_short_and_clean():
    long = "x" * 1000
    assert origin_of(scope(("user-agent", long))) == Origin(ip=PEER, user_agent="x" * 300)
    assert origin_of(request(HTTP_USER_AGENT="a\x00b")) == Origin(ip=PEER, user_agent="ab")
    assert origin_of(scope()) == Origin(ip=PEER)
