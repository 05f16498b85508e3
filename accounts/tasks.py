"""Jobs about people; how often each runs is in `chatplatform/jobs.py`."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from accounts.models import Device

# As long as somebody may still ask "was that me?" about a device they no longer know.
KEPT_AFTER_THE_END = timedelta(days=30)


def forget_old_devices() -> int:
    """Delete devices whose sign-in ended long ago; how many that were."""
    long_ago = timezone.now() - KEPT_AFTER_THE_END
    deleted, _ = Device.objects.filter(Q(expires_at__lt=long_ago) | Q(revoked_at__lt=long_ago)).delete()
    return deleted
