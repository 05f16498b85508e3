"""Devices are forgotten a month after their sign-in ended."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Device
from accounts.tasks import forget_old_devices

pytestmark = pytest.mark.django_db


def test_only_what_ended_long_ago_is_forgotten(alice):
    now = timezone.now()

    def device(name, *, expires, revoked=None):
        ended = None if revoked is None else now + timedelta(days=revoked)
        Device.objects.create(user=alice, name=name, expires_at=now + timedelta(days=expires), revoked_at=ended)

    device("signed in", expires=30)
    device("expired lately", expires=-29)
    device("expired long ago", expires=-31)
    device("signed out lately", expires=10, revoked=-29)
    device("signed out long ago", expires=10, revoked=-31)

    assert forget_old_devices() == 2
    assert set(Device.objects.values_list("name", flat=True)) == {
        "signed in",
        "expired lately",
        "signed out lately",
    }
