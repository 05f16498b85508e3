"""Who is at the other end of a connection: an address nobody can talk us into, and the program's name for itself.

`TRUSTED_PROXIES` says how many reverse proxies of ours stand in front. Each of them appends the address it was called
from to `X-Forwarded-For`, so only that many entries, counted from the right, were written by us; what stands left of
them is whatever the caller liked. With no proxy the header is not looked at.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

Source = HttpRequest | Request | Mapping[str, Any]
"""A Django or REST request, or an ASGI scope."""

# As much of a program's name as a device row keeps.
USER_AGENT_LENGTH = 300


@dataclass(frozen=True)
class Origin:
    """Where an act came from. Both may be empty: a unix socket has no address, and not every program says its name."""

    ip: str = ""
    user_agent: str = ""


def origin_of(source: Source) -> Origin:
    """The origin of a request or a socket."""
    if isinstance(source, Mapping):
        agent = next((value.decode("latin-1") for name, value in source["headers"] if name == b"user-agent"), "")
    else:
        agent = source.META.get("HTTP_USER_AGENT", "")
    return Origin(ip=client_ip(source), user_agent=agent.replace("\x00", "")[:USER_AGENT_LENGTH])


def client_ip(source: Source) -> str:
    """The caller's address: the rightmost hop that is not one of our proxies. Empty when there is none."""
    if isinstance(source, Mapping):
        peer = (source.get("client") or ("",))[0]
        header = ",".join(value.decode("latin-1") for name, value in source["headers"] if name == b"x-forwarded-for")
    else:
        peer = source.META.get("REMOTE_ADDR", "")
        header = source.META.get("HTTP_X_FORWARDED_FOR", "")
    hops = [*filter(None, (hop.strip() for hop in header.split(","))), peer]
    # Fewer hops than proxies: somebody came in past the outer ones, and the first hop is the best there is.
    outermost = hops[max(0, len(hops) - 1 - settings.TRUSTED_PROXIES)]
    return _address(outermost) or _address(peer)


def _address(hop: str) -> str:
    """`hop` as an address in its shortest spelling, its port and zone left off; empty if it is none."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        address = ipaddress.ip_address(hop.partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


def neighbourhood(ip: str, *, v4: int = 32) -> str:
    """The network that counts as one place: an IPv4 address (or its first `v4` bits), and of IPv6 the /64 that one
    customer has."""
    if not ip:
        return "nowhere"  # a unix socket or a command: one bucket for all of them
    address = ipaddress.ip_address(ip)
    return str(ipaddress.ip_network((address, v4 if address.version == 4 else 64), strict=False))
