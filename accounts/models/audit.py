"""The audit trail: what people did, in rows that are added and never changed.

A row names its person by a plain id, so that it outlives them. It never holds a secret or the text of a message; the
functions of `accounts.audit` know what may be kept.
"""

import uuid
from collections.abc import Iterable
from typing import Any, NoReturn

from django.db import models
from django.utils import timezone

from chatplatform.kernel.words import words


class AuditAction(models.TextChoices):
    """Everything that is recorded."""

    REGISTERED = "account:registered", words("Registered", "注册")
    PROFILE_CHANGED = "account:profile:changed", words("Profile changed", "修改资料")
    PASSWORD_SET = "account:password:set", words("Password set by an operator", "管理员设置密码")
    USER_SUSPENDED = "account:suspended", words("Suspended", "停用账号")
    USER_RESTORED = "account:restored", words("Restored", "恢复账号")
    LOGIN_SUCCEEDED = "login:succeeded", words("Signed in", "登录成功")
    LOGIN_FAILED = "login:failed", words("Sign-in failed", "登录失败")
    LOGGED_OUT = "login:ended", words("Signed out", "退出登录")
    REFRESH_REUSED = "login:refresh:reused", words("Refresh token used twice", "刷新令牌被重复使用")
    KEY_ADDED = "key:added", words("API key added", "添加密钥")
    KEY_REPLACED = "key:replaced", words("API key replaced", "更换密钥")
    KEY_DELETED = "key:deleted", words("API key deleted", "删除密钥")
    KEY_VALIDATED = "key:validated", words("API key checked", "验证密钥")
    MODEL_SWITCHED = "conversation:model:switched", words("Model switched", "切换模型")


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Rows to read. There is no way to change or remove them in bulk either."""

    def update(self, **values: Any) -> NoReturn:
        raise TypeError("the audit trail is never changed")

    def bulk_update(
        self, objs: Iterable["AuditEntry"], fields: Iterable[str], batch_size: int | None = None
    ) -> NoReturn:
        raise TypeError("the audit trail is never changed")

    def delete(self) -> NoReturn:
        raise TypeError("the audit trail is never shortened")


class AuditEntry(models.Model):
    """One act."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user_id = models.UUIDField(words("person", "用户"), null=True)
    action = models.CharField(words("act", "操作"), max_length=50, choices=AuditAction)
    resource_type = models.CharField(words("kind of thing", "对象类型"), max_length=50, blank=True, default="")
    resource_id = models.UUIDField(words("thing", "对象"), null=True)
    details = models.JSONField(words("details", "详情"), default=dict)
    ip_address = models.GenericIPAddressField(words("address", "IP 地址"), null=True)
    user_agent = models.TextField(words("program", "客户端"), blank=True, default="")
    created_at = models.DateTimeField(words("when", "时间"), default=timezone.now)

    objects = AuditQuerySet.as_manager()

    class Meta:
        db_table = "audit_logs"
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=["user_id"], name="idx_audit_logs_user_id"),
            models.Index(fields=["-created_at"], name="idx_audit_logs_created_at"),
        ]
        verbose_name = words("audit entry", "审计记录")
        verbose_name_plural = words("audit trail", "审计记录")

    def __str__(self) -> str:
        return f"{self.action} {self.created_at:%Y-%m-%d %H:%M:%S}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise TypeError("the audit trail is never changed")
        super().save(*args, **{**options, "force_insert": True})

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise TypeError("the audit trail is never shortened")
