"""What people say about themselves."""

from django.db import transaction

from accounts import audit
from accounts.clients import Origin
from accounts.models import User


@transaction.atomic
def change_profile(*, user: User, nickname: str | None = None, avatar_url: str | None = None, origin: Origin) -> bool:
    """Change what is given and leave the rest. False if nothing is different."""
    wanted = {"nickname": nickname, "avatar_url": avatar_url}
    changed = [name for name, value in wanted.items() if value is not None and getattr(user, name) != value]
    if not changed:
        return False
    for name in changed:
        setattr(user, name, wanted[name])
    user.save(update_fields=[*changed, "updated_at"])
    audit.profile_changed(user, changed, origin)
    return True
