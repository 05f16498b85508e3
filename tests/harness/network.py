"""The network is off while tests run: only loopback, and the database and Redis that were named, can be reached.

Python tells of every connection about to be made and every name about to be looked up (its audit events), whichever
library asks. What is refused is remembered as well, because a library may swallow the refusal.
"""

import ipaddress
import os
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

# Names that are nobody's, by agreement: they do not resolve, and asking for one is no attempt to leave.
NOBODYS = (".invalid", ".test", ".example", ".localhost", ".internal")

refused: list[str] = []
"""Where somebody tried to go since this list was last cleared."""


class NetworkIsOff(Exception):
    """A test tried to reach an address outside this machine."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"The network is off in tests, and something tried to reach {where}. Start a server on 127.0.0.1."
        )


def _own_servers() -> set[str]:
    hosts = {urlsplit(os.environ.get(name, "")).hostname for name in ("DATABASE_URL", "REDIS_URL")}
    addresses: set[str] = {"localhost"}
    for host in filter(None, hosts):
        addresses |= {host} | {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    return addresses


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def switch_off() -> None:
    """Refuse everything but loopback from now on; there is no way back in this process."""
    allowed = _own_servers()

    def refuse(host: Any) -> None:
        name = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
        if name in allowed or _is_loopback(name):
            return
        if name.rstrip(".").lower().endswith(NOBODYS):
            raise socket.gaierror(socket.EAI_NONAME, f"{name} does not exist")
        refused.append(name)
        raise NetworkIsOff(name)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.sendto"}:
            if isinstance(address := args[1], tuple):
                refuse(address[0])
        elif event == "socket.getaddrinfo" and args[0]:
            refuse(args[0])

    sys.addaudithook(hook)
