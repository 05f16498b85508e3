"""Where a key may be sent, in one spelling: two addresses are the same place if and only if their origins are equal.

The grammar is narrower than the web's on purpose. What this module and an HTTP library could read differently, such as
backslashes, percent signs, names outside ASCII or dot segments, is refused instead of interpreted.
"""

import ipaddress
import re
from dataclasses import dataclass

from chatplatform.kernel.errors import ValidationFailed
from chatplatform.kernel.words import words

MOST_CHARACTERS = 500
DEFAULT_PORTS = {"http": 80, "https": 443}
_ADDRESS = re.compile(
    r"""(?xai)
    (?P<scheme> https? ) ://
    (?P<host> [a-z0-9_] (?: [a-z0-9_.\-]* [a-z0-9_] )? | \[ [0-9a-f:.]+ \] )
    (?: : (?P<port> [0-9]{1,5} ) )?
    (?P<path> (?: / (?! \.{1,2} (?: / | $ ) ) [a-z0-9._~:+=,@\-]+ )* ) /?
    """
)


@dataclass(frozen=True)
class Address:
    """A base address as it is called, and the origin (scheme, host, port, path prefix) a key for it is bound to."""

    base_url: str
    origin: str


def canonical(base_url: str) -> Address:
    """Read a base address: host in lower case, port spelt out in the origin, no slash at the end.

    ValidationFailed for anything with a user name, a query, a fragment, or that is not plainly an address.
    """
    found = _ADDRESS.fullmatch(base_url) if len(base_url) <= MOST_CHARACTERS else None
    if found is None:
        raise _refused()
    scheme, host, path = found["scheme"].lower(), found["host"].lower(), found["path"]
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            raise _refused() from None
    port = int(found["port"] or DEFAULT_PORTS[scheme])
    if not 1 <= port <= 65535:
        raise _refused()
    shown = "" if port == DEFAULT_PORTS[scheme] else f":{port}"
    return Address(base_url=f"{scheme}://{host}{shown}{path}", origin=f"{scheme}://{host}:{port}{path}")


def _refused() -> ValidationFailed:
    problem = words(
        "Enter an address such as https://api.example.com/v1, without user name, query or fragment.",
        "请填写形如 https://api.example.com/v1 的地址，不含用户名、查询参数或片段。",
    )
    return ValidationFailed({"base_url": [str(problem)]})
