"""One function per recorded act. Each knows which details are safe to keep; none of them takes a secret."""

from typing import Any
from uuid import UUID

from accounts.clients import Origin
from accounts.models import AuditAction, AuditEntry, User

NOWHERE = Origin()


def _record(
    action: AuditAction,
    user: User | UUID | None,
    origin: Origin = NOWHERE,
    *,
    resource: tuple[str, UUID] | None = None,
    **details: Any,
) -> None:
    kind, name = resource or ("", None)
    AuditEntry.objects.create(
        user_id=user.pk if isinstance(user, User) else user,
        action=action,
        resource_type=kind,
        resource_id=name,
        details=details,
        ip_address=origin.ip or None,
        user_agent=origin.user_agent,
    )


def registered(user: User, origin: Origin) -> None:
    """Somebody made an account."""
    _record(AuditAction.REGISTERED, user, origin)


def login_succeeded(user: User, origin: Origin, device_id: UUID | None = None) -> None:
    """Somebody signed in; without a device it was with a cookie, as operators do."""
    _record(AuditAction.LOGIN_SUCCEEDED, user, origin, resource=("device", device_id) if device_id else None)


def login_failed(user: User | None, origin: Origin) -> None:
    """Somebody could not sign in. None: no such account; the name is not kept, for people type passwords there."""
    _record(AuditAction.LOGIN_FAILED, user, origin)


def logged_out(user: User | UUID, device_id: UUID, origin: Origin) -> None:
    """Somebody signed a device out."""
    _record(AuditAction.LOGGED_OUT, user, origin, resource=("device", device_id))


def refresh_reused(user: User, device_id: UUID, origin: Origin) -> None:
    """A refresh token came a second time, and its device was signed out."""
    _record(AuditAction.REFRESH_REUSED, user, origin, resource=("device", device_id))


def profile_changed(user: User, fields: list[str], origin: Origin) -> None:
    """Somebody changed these fields of their profile."""
    _record(AuditAction.PROFILE_CHANGED, user, origin, fields=fields)


def password_set(user: User, by: User, origin: Origin) -> None:
    """An operator gave this person a new password."""
    _record(AuditAction.PASSWORD_SET, user, origin, by=str(by.pk))


def user_suspended(user: User, by: User, origin: Origin) -> None:
    """An operator shut this person out."""
    _record(AuditAction.USER_SUSPENDED, user, origin, by=str(by.pk))


def user_restored(user: User, by: User, origin: Origin) -> None:
    """An operator let this person in again."""
    _record(AuditAction.USER_RESTORED, user, origin, by=str(by.pk))


def key_added(user: User | UUID, key_id: UUID, vendor: str, origin: Origin = NOWHERE) -> None:
    """Somebody stored an API key."""
    _record(AuditAction.KEY_ADDED, user, origin, resource=("key", key_id), vendor=vendor)


def key_replaced(user: User | UUID, key_id: UUID, vendor: str, origin: Origin = NOWHERE) -> None:
    """Somebody put another API key, or another address, in the place of one."""
    _record(AuditAction.KEY_REPLACED, user, origin, resource=("key", key_id), vendor=vendor)


def key_deleted(user: User | UUID, key_id: UUID, vendor: str, origin: Origin = NOWHERE) -> None:
    """Somebody removed an API key."""
    _record(AuditAction.KEY_DELETED, user, origin, resource=("key", key_id), vendor=vendor)


def key_validated(user: User | UUID, key_id: UUID, vendor: str, outcome: str, origin: Origin = NOWHERE) -> None:
    """A vendor was asked about an API key; `outcome` is our word for the answer."""
    _record(AuditAction.KEY_VALIDATED, user, origin, resource=("key", key_id), vendor=vendor, outcome=outcome)


def model_switched(user: User | UUID, conversation_id: UUID, model: str, origin: Origin = NOWHERE) -> None:
    """Somebody went on with another model in the middle of a conversation."""
    _record(AuditAction.MODEL_SWITCHED, user, origin, resource=("conversation", conversation_id), model=model)
