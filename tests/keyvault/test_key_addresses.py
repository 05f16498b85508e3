"""A key's address has one spelling, and what could be read in two ways is refused."""

import pytest

from chatplatform.kernel.errors import ValidationFailed
from keyvault.origin import Address, canonical


@pytest.mark.parametrize(
    ("typed", "base_url", "origin"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1", "https://api.openai.com:443/v1"),
        ("HTTPS://API.OpenAI.com:443/v1/", "https://api.openai.com/v1", "https://api.openai.com:443/v1"),
        ("https://api.deepseek.com", "https://api.deepseek.com", "https://api.deepseek.com:443"),
        ("https://api.deepseek.com/", "https://api.deepseek.com", "https://api.deepseek.com:443"),
        ("http://my_gpu:8000/v1", "http://my_gpu:8000/v1", "http://my_gpu:8000/v1"),
        ("http://127.0.0.1", "http://127.0.0.1", "http://127.0.0.1:80"),
        ("http://[0:0::1]:8080/V1", "http://[::1]:8080/V1", "http://[::1]:8080/V1"),
    ],
)
def test_spellings_of_one_place_are_one_address(typed: str, base_url: str, origin: str) -> None:
    assert canonical(typed) == Address(base_url=base_url, origin=origin)


@pytest.mark.parametrize(
    "one, other",
    [
        ("https://a.example/v1", "http://a.example/v1"),
        ("https://a.example/v1", "https://b.example/v1"),
        ("https://a.example/v1", "https://a.example:8443/v1"),
        ("https://a.example/v1", "https://a.example/v2"),
        ("https://a.example/v1", "https://a.example/V1"),
        ("https://a.example/v1", "https://a.example"),
    ],
)
def test_scheme_host_port_and_path_all_tell_places_apart(one: str, other: str) -> None:
    assert canonical(one).origin != canonical(other).origin


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "api.openai.com/v1",
        "//api.openai.com/v1",
        "ftp://api.openai.com/v1",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https://user@api.openai.com/v1",
        "https://user:word@api.openai.com/v1",
        "https://api.openai.com/v1?key=1",
        "https://api.openai.com/v1#part",
        "https://api.openai.com\\@evil.example/v1",
        "https://api.openai.com/../v1",
        "https://api.openai.com/v1/..",
        "https://api.openai.com/./v1",
        "https://api.openai.com//v1",
        "https://api.openai.com/%2e%2e/v1",
        "https://api.openai.com./v1",
        "https://api.openai.com:0/v1",
        "https://api.openai.com:65536/v1",
        "https://api.openai.com:/v1",
        "https://api.openai.com/v1\n",
        "https://api.openai.com/v1\r\nHost: evil.example",
        " https://api.openai.com/v1",
        "https://api.openai.com/v 1",
        "https://api.ope\tnai.com/v1",
        "https://xn/\u0131",
        "https://\u24d0pi.openai.com/v1",
        "https://[::1/v1",
        "https://[:::]/v1",
        "https://[::1%eth0]/v1",
        "https://a.example/" + "v" * 500,
    ],
)
def test_what_is_not_plainly_an_address_is_refused(typed: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        canonical(typed)

    assert list(refusal.value.details) == ["base_url"]
