"""Who is this request or socket? A password proves it once; from then on a token or a ticket does.

Every door ends in `Signed`: a person who is active, on a device that is still signed in, until a moment. `identify`
reads a token, `redeem_ticket` a socket's ticket; doors that stay open ask `devices_signed_in` from time to time.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts import tickets
from accounts.clients import Origin, origin_of
from accounts.models import Device, User
from accounts.services.login import prove
from accounts.services.tokens import Claims, read_access_token
from chatplatform.kernel.db import in_db
from chatplatform.kernel.errors import AppError, BadCredentials, Unauthenticated


@dataclass(frozen=True)
class Signed:
    """Somebody signed in: who, on which device, and until when this proof of it lasts."""

    user: User
    device_id: UUID
    expires_at: datetime


def identify(token: str) -> Signed:
    """Whose access token this is. TokenExpired, or Unauthenticated for everything else that is wrong with it."""
    return _signed(read_access_token(token))


def ticket_for(signed: Signed) -> str:
    """A ticket that opens one socket for `signed`, once and soon."""
    return tickets.make(Claims(signed.user.pk, signed.device_id, signed.expires_at))


def redeem_ticket(ticket: str) -> Signed:
    """Whose ticket this is, the first time it is asked. Unauthenticated ever after."""
    claims = tickets.take(ticket)
    if claims is None:
        raise Unauthenticated
    return _signed(claims)


def devices_signed_in(device_ids: set[UUID]) -> set[UUID]:
    """Which of these devices are still signed in, their people active. Says nothing about the age of a token."""
    live = Device.objects.live().filter(user__status=User.Status.ACTIVE)
    wanted = sorted(device_ids)
    found: set[UUID] = set()
    for start in range(0, len(wanted), 500):  # a statement takes only so many parameters
        found.update(live.filter(pk__in=wanted[start : start + 500]).values_list("pk", flat=True))
    return found


def _signed(claims: Claims) -> Signed:
    device = Device.objects.live().select_related("user").filter(pk=claims.device_id, user_id=claims.user_id).first()
    if device is None or not device.user.is_active:
        raise Unauthenticated
    return Signed(user=device.user, device_id=device.pk, expires_at=claims.expires_at)


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>` on a REST request. `request.auth` becomes the `Signed`.

    There is no `WWW-Authenticate` in the answer to a bad token: clients act on our code in the body.
    """

    def authenticate(self, request: Request) -> tuple[User, Signed] | None:
        scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            signed = identify(token.strip())
        except Unauthenticated as refusal:
            # In the framework's own words, so that it does not ask once more when it draws the page with the error.
            raise AuthenticationFailed from refusal
        return signed.user, signed


class PasswordBackend(ModelBackend):
    """An e-mail address and a password, for every form of Django's own: the admin's, the browsable API's."""

    @sensitive_variables("password")
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **credentials: Any
    ) -> User | None:
        if username is None or password is None:
            return None
        try:
            return prove(email=username, password=password, origin=origin_of(request) if request else Origin())
        except BadCredentials:
            return None
        except AppError as refusal:
            raise PermissionDenied from refusal  # in Django's words: no, and ask nobody else

    async def aauthenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:  # type: ignore[override]
        return await in_db(self.authenticate, request, **credentials)
