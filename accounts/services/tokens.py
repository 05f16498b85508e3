"""Access tokens, refresh tokens, and the chain that ties them to a device.

An access token is a short-lived JWT that names its person and device. A refresh token is opaque to everybody else: the
device, the place in its chain, and a seal over both that only this server can make. Because the seal is derived and
not drawn, the successor of a token can be given out a second time without having been kept; and a token from any
earlier place in the chain is recognised as what it is, however old.

All keys come from `SECRET_KEY` by HKDF, one per purpose, and are named: after a change of `SECRET_KEY` what the old one
made stays good while it stands in `SECRET_KEY_FALLBACKS`.
"""

import base64
import binascii
import hashlib
import hmac
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import audit, limits
from accounts.clients import Origin
from accounts.models import Device, User
from chatplatform.kernel.errors import RefreshTokenReused, TokenExpired, Unauthenticated
from chatplatform.kernel.keyring import Keyring

ALGORITHM = "HS256"
ISSUER = "chatplatform"
AUDIENCE = "chatplatform/api"
ACCESS = "access"
REQUIRED = ["exp", "iat", "nbf", "iss", "aud", "sub", "jti", "typ", "sid"]
# The clocks of two servers differ by less than this.
CLOCK_SKEW = timedelta(seconds=5)
# Ours have some 450 characters; anything much longer is not worth parsing.
LONGEST_TOKEN = 1024
# With six bytes a refresh token fills its base64 letters to the last bit: no padding, and no bits left to vary.
COUNTER_BYTES = 6


@dataclass(frozen=True)
class TokenPair:
    """What a sign-in or a refresh hands out. Neither token is shown when this is printed."""

    device_id: UUID
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True)
class Claims:
    """What a genuine access token says. Whether the device is still signed in is another question."""

    user_id: UUID
    device_id: UUID
    expires_at: datetime


@dataclass(frozen=True)
class Link:
    """What a genuine refresh token says: a device, and a place in its chain."""

    device_id: UUID
    counter: int


def issue(*, user: User, origin: Origin, device_name: str = "") -> TokenPair:
    """Sign `user` in on a new device."""
    device_id = uuid.uuid4()
    refresh_token = _refresh_token(Link(device_id, 0))
    Device.objects.create(
        id=device_id,
        user=user,
        name=device_name,
        ip=origin.ip or None,
        user_agent=origin.user_agent,
        current_hash=_digest(refresh_token),
        expires_at=timezone.now() + settings.REFRESH_TOKEN_LIFETIME,
    )
    return _pair(user.pk, device_id, refresh_token)


def refresh(*, refresh_token: str, origin: Origin) -> tuple[User, TokenPair]:
    """Exchange a refresh token for the next pair. Each is good once.

    1. The token must be one of ours, and its device still signed in.
    2. One counted UPDATE moves the chain on. However many ask at once, it counts for one of them.
    3. Whoever comes with the immediate predecessor, from the same program and within the grace, lost the answer on its
       way or was one of two tabs: they get the same successor again.
    4. Any other token of an earlier place has been copied. Nobody can tell the thief from the owner, so the device is
       signed out: RefreshTokenReused.
    """
    limits.refresh_from(origin.ip).hit()
    link = _link(refresh_token)
    device = Device.objects.live().select_related("user").filter(pk=link.device_id).first()
    if device is None or not device.user.is_active:
        raise Unauthenticated
    user, presented, now = device.user, _digest(refresh_token), timezone.now()
    successor = _refresh_token(Link(device.pk, link.counter + 1))
    moved = (
        Device.objects.live()
        .filter(pk=device.pk, current_hash=presented)
        .update(
            current_hash=_digest(successor),
            previous_hash=presented,
            counter=link.counter + 1,
            ip=origin.ip or None,
            user_agent=origin.user_agent,
            rotated_at=now,
            last_seen_at=now,
            expires_at=now + settings.REFRESH_TOKEN_LIFETIME,
        )
    )
    if not moved:
        device.refresh_from_db()
        if device.revoked_at is not None or link.counter >= device.counter:
            raise Unauthenticated  # signed out meanwhile; or from a chain that a restored database does not know
        lost_answer = (
            device.previous_hash == presented
            and device.current_hash == _digest(successor)
            and device.user_agent == origin.user_agent
            and now - device.rotated_at <= settings.REFRESH_GRACE
        )
        if not lost_answer:
            with transaction.atomic():
                if revoke(device_id=device.pk):
                    audit.refresh_reused(user, device.pk, origin)
            raise RefreshTokenReused
    return user, _pair(user.pk, device.pk, successor)


def revoke(*, device_id: UUID) -> bool:
    """Sign a device out; its tokens are worthless at once. False if it was signed out already."""
    return bool(Device.objects.filter(pk=device_id, revoked_at=None).update(revoked_at=timezone.now()))


def revoke_all(*, user: User) -> int:
    """Sign `user` out everywhere; how many devices that ended."""
    return Device.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())


def device_of(refresh_token: str) -> Device:
    """The device a refresh token was made for, signed in or not, whatever its place in the chain."""
    device = Device.objects.filter(pk=_link(refresh_token).device_id).first()
    if device is None:
        raise Unauthenticated
    return device


def read_access_token(token: str) -> Claims:
    """What `token` says, if this server made it as an access token and it has not expired. Looks at no table."""
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise Unauthenticated
    try:
        name = jwt.get_unverified_header(token)["kid"]
        claims: dict[str, Any] = jwt.decode(
            token,
            key=_keys("access-token")[name],
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            leeway=CLOCK_SKEW,
            options={"require": REQUIRED, "strict_aud": True},
        )
        if claims["typ"] != ACCESS:
            raise Unauthenticated
        return Claims(
            user_id=UUID(claims["sub"]),
            device_id=UUID(claims["sid"]),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError):
        raise Unauthenticated from None


def _pair(user_id: UUID, device_id: UUID, refresh_token: str) -> TokenPair:
    now = datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "sid": str(device_id),
        "jti": uuid.uuid4().hex,
        "typ": ACCESS,
        "iat": now,
        "nbf": now,
        "exp": now + settings.ACCESS_TOKEN_LIFETIME,
    }
    name, key = next(iter(_keys("access-token").items()))
    return TokenPair(
        device_id=device_id,
        access_token=jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": name}),
        refresh_token=refresh_token,
        expires_in=int(settings.ACCESS_TOKEN_LIFETIME.total_seconds()),
    )


def _refresh_token(link: Link) -> str:
    body = link.device_id.bytes + link.counter.to_bytes(COUNTER_BYTES, "big")
    key = next(iter(_keys("refresh-token").values()))
    return base64.urlsafe_b64encode(body + _seal(key, body)).decode()


def _link(refresh_token: str) -> Link:
    """What a refresh token says, if one of our keys sealed it."""
    try:
        raw = base64.b64decode(refresh_token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Unauthenticated from None
    if base64.urlsafe_b64encode(raw).decode() != refresh_token:
        raise Unauthenticated  # the same bytes in the other alphabet: its digest would be taken for an old token's
    body, seal = raw[: 16 + COUNTER_BYTES], raw[16 + COUNTER_BYTES :]
    if not any(hmac.compare_digest(seal, _seal(key, body)) for key in _keys("refresh-token").values()):
        raise Unauthenticated
    return Link(UUID(bytes=body[:16]), int.from_bytes(body[16:], "big"))


def _seal(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")


def _digest(refresh_token: str) -> str:
    return hashlib.sha256(refresh_token.encode()).hexdigest()


def _keys(purpose: str) -> dict[str, bytes]:
    return _derived(purpose, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=8)
def _derived(purpose: str, secrets: tuple[str, ...]) -> dict[str, bytes]:
    """A key for `purpose` from every secret, the newest first, each under a name that says nothing about it."""
    ring = Keyring(primary="0", keys={str(place): secret.encode() for place, secret in enumerate(secrets)})
    return {ring.subkey(place, f"{purpose}/name")[:6].hex(): ring.subkey(place, purpose) for place in ring.keys}
