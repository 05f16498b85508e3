"""Tickets: a word that opens one socket, once, within half a minute.

A browser cannot send a header with a socket's handshake, and an address ends up in logs; a ticket in the address is
worthless by the time anybody reads it there. The cache keeps it under its hash. Taking it is decided by the cache's
`delete`, which is true for exactly one of those who ask.
"""

import hashlib
import secrets
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.core.cache import cache

from accounts.services.tokens import Claims


def make(claims: Claims) -> str:
    """A new ticket that stands for `claims`."""
    ticket = secrets.token_urlsafe(32)
    value = (str(claims.user_id), str(claims.device_id), claims.expires_at.isoformat())
    cache.set(_key(ticket), value, timeout=settings.SOCKET_TICKET_SECONDS)
    return ticket


def take(ticket: str) -> Claims | None:
    """What `ticket` stands for, the first time it is asked; None ever after, and for anything else."""
    key = _key(ticket)
    value = cache.get(key)
    if value is None or not cache.delete(key):
        return None
    user_id, device_id, expires_at = value
    return Claims(UUID(user_id), UUID(device_id), datetime.fromisoformat(expires_at))


def _key(ticket: str) -> str:
    return f"ticket:{hashlib.sha256(ticket.encode('utf-8', 'replace')).hexdigest()}"
