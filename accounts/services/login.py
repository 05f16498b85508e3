"""Signing in with a password, and signing out."""

from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import audit, limits
from accounts.clients import Origin
from accounts.models import User
from accounts.passwords import one_hash
from accounts.services import tokens
from chatplatform.kernel.errors import BadCredentials


@sensitive_variables("password")
def prove(*, email: str, password: str, origin: Origin) -> User:
    """Whose password this is. BadCredentials whatever the reason, RateLimited after too many failures.

    Every door goes through here, so that guessing is limited whichever is tried. Nobody learns by the answer, or by how
    long it took, whether an account exists, has a password, or is suspended.
    """
    limits.sign_in_from(origin.ip).hit()
    failures = limits.sign_in_to(email, origin.ip)
    with one_hash():
        # Inside the gate, so that of many guesses sent at once no more slip through than are hashed at once.
        failures.check()
        user = User.objects.filter(email=email.strip()).first()
        if user is None:
            make_password(password)
        elif user.check_password(password) and user.is_active:
            return user
        failures.hit()
    audit.login_failed(user, origin)
    raise BadCredentials


@sensitive_variables("password")
def sign_in(*, email: str, password: str, device_name: str = "", origin: Origin) -> tuple[User, tokens.TokenPair]:
    """Sign in with a password on a new device."""
    user = prove(email=email, password=password, origin=origin)
    with transaction.atomic():
        pair = tokens.issue(user=user, origin=origin, device_name=device_name)
        user.last_login = timezone.now()
        user.save(update_fields=["last_login"])
        audit.login_succeeded(user, origin, pair.device_id)
    return user, pair


@transaction.atomic
def sign_out(*, user_id: UUID, device_id: UUID, origin: Origin) -> bool:
    """End a device's sign-in. False if it had ended already."""
    if not tokens.revoke(device_id=device_id):
        return False
    audit.logged_out(user_id, device_id, origin)
    return True
