"""Every limit on people, one function each: the number and its reason side by side.

A limit by address counts an IPv6 network of 64 bits as one address: whoever holds one of its addresses holds them all.
"""

import hashlib
from uuid import UUID

from accounts.clients import neighbourhood
from chatplatform.kernel.ratelimit import HOUR, MINUTE, Limit


def sign_in_from(ip: str) -> Limit:
    """Attempts to sign in, good or bad, from one address."""
    # 30 a minute: an office behind one router in the morning, but not a list of stolen passwords.
    return Limit(f"sign-in:from:{neighbourhood(ip)}", 30, per=MINUTE)


def sign_in_to(account: str, ip: str) -> Limit:
    """Failures to sign in to one account from one neighbourhood. The account need not exist."""
    # 5 in a quarter of an hour: three memories and two typing mistakes. By neighbourhood, because somebody elsewhere
    # who guesses at an account must not be able to lock its owner out. Hashed, so that the
    # counters are no address book.
    name = hashlib.sha256(account.strip().lower().encode("utf-8", "replace")).hexdigest()[:32]
    return Limit(f"sign-in:to:{name}:{neighbourhood(ip, v4=24)}", 5, per=15 * MINUTE)


def register_from(ip: str) -> Limit:
    """New accounts from one address."""
    # 20 an hour: a class of students trying it together, but not a farm of accounts.
    return Limit(f"register:from:{neighbourhood(ip)}", 20, per=HOUR)


def refresh_from(ip: str) -> Limit:
    """Exchanges of refresh tokens from one address."""
    # 120 a minute: each device needs one in fifteen minutes, so this is an office of hundreds coming back after lunch.
    return Limit(f"refresh:from:{neighbourhood(ip)}", 120, per=MINUTE)


def tickets_by(user_id: UUID) -> Limit:
    """Socket tickets for one person."""
    # 60 a minute: every device they own reconnecting in a tunnel, but not a loop.
    return Limit(f"ticket:user:{user_id}", 60, per=MINUTE)


def messages_by(user_id: UUID) -> Limit:
    """Messages one person sends, through whichever door."""
    # 30 a minute: faster than anyone types, slower than a script gone wild.
    return Limit(f"message:user:{user_id}", 30, per=MINUTE)


def key_checks_by(user_id: UUID) -> Limit:
    """Questions to a vendor whether a person's key is alive."""
    # 5 a minute: enough to correct a key that was pasted wrongly, too few to try out keys that were found.
    return Limit(f"key-check:user:{user_id}", 5, per=MINUTE)
