"""Shutting somebody out, and letting them in again: what operators do."""

from django.db import transaction

from accounts import audit
from accounts.clients import Origin
from accounts.models import User
from accounts.services import tokens


@transaction.atomic
def suspend(*, user: User, by: User, origin: Origin) -> bool:
    """Shut `user` out everywhere, at once. False if they were not active."""
    if not User.objects.filter(pk=user.pk, status=User.Status.ACTIVE).update(status=User.Status.SUSPENDED):
        return False
    tokens.revoke_all(user=user)
    audit.user_suspended(user, by, origin)
    return True


@transaction.atomic
def restore(*, user: User, by: User, origin: Origin) -> bool:
    """Let a suspended `user` in again; they have to sign in anew. False if they were not suspended."""
    if not User.objects.filter(pk=user.pk, status=User.Status.SUSPENDED).update(status=User.Status.ACTIVE):
        return False
    audit.user_restored(user, by, origin)
    return True
