"""In which language a socket is spoken to: a page names it in the address, everybody else in a header."""

import pytest

from accounts.credentials import socket_credentials


@pytest.mark.parametrize(
    ("query", "header", "language"),
    [
        (b"", None, "en"),
        (b"", b"zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"),
        (b"", b"fr, zh;q=0.5", "en"),
        (b"language=en", b"zh-CN", "en"),
        (b"language=zh-hans&ticket=abc", b"en-GB", "zh-hans"),
        (b"language=..%2F..%2Fzh", None, "en"),
    ],
)
def test_it_is_always_one_of_the_two_that_there_are(query, header, language):
    headers = [] if header is None else [(b"accept-language", header)]
    assert socket_credentials({"query_string": query, "headers": headers}).language == language
