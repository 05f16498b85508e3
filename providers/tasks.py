"""Jobs about models and what they cost; how often each runs is in `chatplatform/jobs.py`."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from providers.models import UsageRecord

# Nothing runs longer than GENERATION_SECONDS; the end of a reply may then wait a while for the database.
GRACE = timedelta(hours=1)


def release_forgotten() -> int:
    """Free what was set aside for calls that nobody will ever settle; how many that were."""
    long_ago = timezone.now() - timedelta(seconds=settings.GENERATION_SECONDS) - GRACE
    return UsageRecord.objects.filter(created_at__lt=long_ago).release()
