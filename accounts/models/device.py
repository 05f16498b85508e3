"""A device somebody signed in on, with the chain of refresh tokens that keeps it signed in.

The chain is one row: only the hashes of the newest refresh token and of the one before it are kept, and a counter that
says how far the chain has come.
"""

from django.db import models
from django.utils import timezone

from accounts.models.user import User
from chatplatform.kernel.models import UUIDModel
from chatplatform.kernel.words import words


class DeviceQuerySet(models.QuerySet["Device"]):
    """Questions about many devices."""

    def live(self) -> "DeviceQuerySet":
        """Those that are still signed in."""
        return self.filter(revoked_at=None, expires_at__gt=timezone.now())


class Device(UUIDModel):
    """One sign-in that lasts. Its id is the `sid` of every access token it gets."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="devices")
    name = models.CharField(words("name", "名称"), max_length=100, blank=True, default="")
    ip = models.GenericIPAddressField(words("address", "IP 地址"), null=True)
    user_agent = models.CharField(words("program", "客户端"), max_length=300, blank=True, default="")
    current_hash = models.CharField(max_length=64)
    previous_hash = models.CharField(max_length=64, blank=True, default="")
    counter = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(words("signed in", "登录时间"), auto_now_add=True)
    rotated_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(words("last seen", "最近活动"), default=timezone.now)
    revoked_at = models.DateTimeField(words("signed out", "退出时间"), null=True)
    expires_at = models.DateTimeField(words("expires", "到期时间"))

    objects = DeviceQuerySet.as_manager()

    class Meta:
        db_table = "devices"
        ordering = ("-last_seen_at",)
        verbose_name = words("device", "设备")
        verbose_name_plural = words("devices", "设备")

    def __str__(self) -> str:
        return self.name or str(self.pk)
