"""Making an account."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import audit, limits
from accounts.clients import Origin
from accounts.models import User
from accounts.passwords import one_hash
from accounts.services import tokens
from chatplatform.kernel.errors import EmailTaken, ValidationFailed


@sensitive_variables("password")
def register(*, email: str, password: str, nickname: str, origin: Origin) -> tuple[User, tokens.TokenPair]:
    """Make an account and sign it in. ValidationFailed for a weak password, EmailTaken for a known address."""
    user = User(email=email, nickname=nickname)
    try:
        validate_password(password, user)
    except ValidationError as exc:
        raise ValidationFailed({"password": exc.messages}) from None
    limits.register_from(origin.ip).hit()
    if User.objects.filter(email=email).exists():
        raise EmailTaken
    with one_hash():
        user.set_password(password)
    user.last_login = timezone.now()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            audit.registered(user, origin)
            return user, tokens.issue(user=user, origin=origin)
    except IntegrityError:  # somebody else was quicker with the same address
        raise EmailTaken from None
