"""What is done with people's keys: added, replaced, deleted, opened for a call, and judged by their vendors.

`open_for` is the only function of the product that opens a stored key. It gives out a `Secret`, which does not print,
pickle or serialise; the adapter that makes the request reveals it, and nobody keeps it.
"""

import logging
import re
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.timezone import now
from django.views.decorators.debug import sensitive_variables

from accounts import audit
from accounts.clients import Origin
from accounts.models import User
from chatplatform.kernel.errors import Conflict, KeyUnreadable, NotFound, ValidationFailed
from chatplatform.kernel.secret import Secret
from chatplatform.kernel.words import words
from keyvault import crypto
from keyvault.models import Outcome, ProviderKey
from keyvault.origin import canonical

log = logging.getLogger(__name__)

# Visible ASCII only: a key becomes a header, and a line break or space in it could forge another one. No vendor's keys
# are shorter than 8 or longer than 512.
ACCEPTED_KEY = re.compile(r"[!-~]{8,512}")
# Beginnings that vendors give to all their keys and that therefore tell nothing of one; the longest first.
KNOWN_PREFIXES = ("sk-svcacct-", "sk-or-v1-", "sk-proj-", "sk-ant-", "sk-", "gsk_", "xai-", "AIza")
# Four characters of a short key would be too much of it.
SHORTEST_WITH_HINT = 20
# Far above what anyone rotates among, low enough that a list of all of them is one answer.
MOST_KEYS = 100


@dataclass(frozen=True)
class OpenedKey:
    """A key on its way to its vendor: for one call, at this address and no other."""

    key_id: UUID
    base_url: str
    secret: Secret = field(repr=False)
    secret_version: int


def keys_of(user: User) -> QuerySet[ProviderKey]:
    """All keys of a person."""
    return ProviderKey.objects.filter(user=user).order_by("vendor", "label")


def key_for(user: User, key_id: UUID) -> ProviderKey:
    """One key of a person; NotFound for somebody else's."""
    key = keys_of(user).filter(pk=key_id).first()
    if key is None:
        raise NotFound
    return key


@sensitive_variables("text")
def hint_of(secret: Secret) -> str:
    """What may be shown of a key so that its owner knows it again; empty for a short one."""
    text = secret.reveal()
    if len(text) < SHORTEST_WITH_HINT:
        return ""
    return f"{next(filter(text.startswith, KNOWN_PREFIXES), '')}...{text[-4:]}"


def _put_secret(key: ProviderKey, api_key: Secret, base_url: str) -> None:
    """Seal `api_key` into the row, unsaved: everything that is derived from the secret or its address."""
    if not ACCEPTED_KEY.fullmatch(api_key.reveal()):
        problem = words("8 to 512 visible ASCII characters, no spaces.", "须为 8 到 512 个可见 ASCII 字符，不含空格。")
        raise ValidationFailed({"api_key": [str(problem)]})
    address = canonical(base_url)
    key.base_url, key.origin = address.base_url, address.origin
    key.hint, key.fingerprint = hint_of(api_key), crypto.fingerprint(key.vendor, api_key)
    key.sealed = crypto.seal(api_key, key.binding)


@transaction.atomic
def add_key(
    *, user: User, vendor: str, api_key: Secret, base_url: str, label: str = "", origin: Origin = audit.NOWHERE
) -> ProviderKey:
    """Store a key, bound to its owner and to `base_url`. Conflict if the person has one for this vendor and label."""
    if keys_of(user).count() >= MOST_KEYS:
        raise Conflict(words("You have too many keys. Delete some first.", "密钥数量已达上限，请先删除一些。"))
    key = ProviderKey(user=user, vendor=vendor, label=label)
    _put_secret(key, api_key, base_url)
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            words(
                "You have a key for this vendor under this label. Replace it, or choose another label.",
                "该服务商下已有同名标签的密钥，请更新它或换一个标签。",
            )
        ) from None
    audit.key_added(user, key.pk, vendor, origin)
    return key


@transaction.atomic
def replace_key(
    *, key: ProviderKey, api_key: Secret, base_url: str | None = None, origin: Origin = audit.NOWHERE
) -> ProviderKey:
    """Put another secret in the key's place, and move it to `base_url` if one is given. The old secret is destroyed.

    Calls that are under way end with the secret they began with. Without `base_url` the new secret stays at the old
    address, provided that the old envelope vouches for it: if the row does not, the person has to name the address.
    """
    locked = ProviderKey.objects.select_for_update().filter(pk=key.pk).first()
    if locked is None:
        raise NotFound
    if base_url is None:
        base_url = _vouched_address(locked)
    locked.secret_version += 1
    locked.row_version += 1
    _put_secret(locked, api_key, base_url)
    locked.is_valid, locked.status, locked.last_validated = True, ProviderKey.Status.UNCHECKED, None
    locked.save()
    audit.key_replaced(locked.user_id, locked.pk, locked.vendor, origin)
    return locked


def _vouched_address(key: ProviderKey) -> str:
    try:
        _check_address(key)
        crypto.check(key.sealed, key.binding)
    except KeyUnreadable:
        problem = words("Enter the address too: the stored one is in doubt.", "请同时填写地址：已保存的地址无法确认。")
        raise ValidationFailed({"base_url": [str(problem)]}) from None
    return key.base_url


@transaction.atomic
def delete_key(*, key: ProviderKey, origin: Origin = audit.NOWHERE) -> None:
    """Destroy a key."""
    deleted, _ = ProviderKey.objects.filter(pk=key.pk).delete()
    if deleted:
        audit.key_deleted(key.user_id, key.pk, key.vendor, origin)


def open_for(*, user_id: UUID, vendor: str, key_id: UUID | None = None) -> list[OpenedKey]:
    """Open a person's usable keys for a vendor, the highest priority first; with `key_id` that one, usable or not.

    A row that does not open is reported and left out. If that leaves none, KeyUnreadable: a key that cannot be opened
    must not look like no key at all.
    """
    rows = ProviderKey.objects.filter(user_id=user_id, vendor=vendor)
    rows = rows.filter(is_valid=True) if key_id is None else rows.filter(pk=key_id)
    opened, unreadable = [], False
    for row in rows.order_by("-priority", "created_at"):
        try:
            opened.append(_opened(row))
        except KeyUnreadable:
            unreadable = True
            log.error("a stored key does not open", extra={"key_id": str(row.pk), "kek_id": row.kek_id})
    if unreadable and not opened:
        raise KeyUnreadable
    return opened


def _opened(row: ProviderKey) -> OpenedKey:
    _check_address(row)
    return OpenedKey(
        key_id=row.pk,
        base_url=row.base_url,
        secret=crypto.unseal(row.sealed, row.binding),
        secret_version=row.secret_version,
    )


def _check_address(row: ProviderKey) -> None:
    """KeyUnreadable unless the address that would be called is the origin, for which the envelope vouches."""
    try:
        address = canonical(row.base_url)
    except ValidationFailed:
        raise KeyUnreadable from None
    if (address.base_url, address.origin) != (row.base_url, row.origin):
        raise KeyUnreadable


def report_outcome(*, key_id: UUID, outcome: Outcome, secret_version: int | None = None) -> None:
    """Remember what a vendor made of a key. Only its refusal makes a key unusable, and only its word makes it usable.

    With `secret_version` the report counts for that secret alone: one that comes late, about a secret which has been
    replaced since, changes nothing.
    """
    changes: dict[str, Any] = {"last_used_at": now()}
    if outcome is not Outcome.UNKNOWN:
        changes |= {"status": outcome.value, "last_validated": now()}
    if outcome in {Outcome.VALID, Outcome.INVALID}:
        changes["is_valid"] = outcome is Outcome.VALID
    rows = ProviderKey.objects.filter(pk=key_id)
    if secret_version is not None:
        rows = rows.filter(secret_version=secret_version)
    rows.update(**changes)
