"""`ProviderKey`: a person's key for a vendor, closed. The row knows everything about the key except the key."""

from enum import StrEnum

from django.conf import settings
from django.db import models

from chatplatform.kernel.errors import AppError, KeyOutOfCredit, KeyRejected
from chatplatform.kernel.models import StampedModel
from chatplatform.kernel.words import words
from keyvault.crypto import Binding, Sealed


class Outcome(StrEnum):
    """What a vendor made of a key. UNKNOWN: it did not say, because it was busy, broken or out of reach."""

    VALID = "valid"
    INVALID = "invalid"
    EXHAUSTED = "exhausted"
    UNKNOWN = "unknown"

    @classmethod
    def after(cls, failure: AppError) -> "Outcome":
        """What a failed call says about the key it was made with."""
        if isinstance(failure, KeyOutOfCredit):
            return cls.EXHAUSTED
        return cls.INVALID if isinstance(failure, KeyRejected) else cls.UNKNOWN


class ProviderKey(StampedModel):
    """One sealed key. Its plaintext never touches an instance: `keyvault.services.open_for` alone opens rows."""

    class Mode(models.TextChoices):
        """Who can open the row. A layer under a passphrase of the person's would be another mode."""

        SERVER = "server", words("server", "服务器")

    class Status(models.TextChoices):
        """The vendor's last word on the key."""

        UNCHECKED = "unchecked", words("not checked yet", "尚未验证")
        VALID = Outcome.VALID.value, words("valid", "有效")
        INVALID = Outcome.INVALID.value, words("refused by the vendor", "已被服务商拒绝")
        EXHAUSTED = Outcome.EXHAUSTED.value, words("out of credit", "余额不足")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="provider_keys",
        verbose_name=words("owner", "所有者"),
    )
    vendor = models.CharField(words("vendor", "服务商"), max_length=50, db_column="provider")
    label = models.CharField(words("label", "标签"), max_length=50, blank=True, default="")
    base_url = models.CharField(max_length=500)
    origin = models.CharField(max_length=520)

    mode = models.CharField(max_length=16, choices=Mode, default=Mode.SERVER)
    algorithm = models.CharField(max_length=32)
    secret_version = models.PositiveIntegerField(default=1)
    kek_id = models.CharField(max_length=64)
    kek_version = models.PositiveIntegerField()
    wrapped_dek = models.BinaryField()
    dek_nonce = models.BinaryField()
    nonce = models.BinaryField()
    ciphertext = models.BinaryField()
    # Counts changes of the sealed fields, so that a job which wraps rows anew cannot overwrite a newer secret.
    row_version = models.PositiveIntegerField(default=1)

    hint = models.CharField(words("key", "密钥"), max_length=20, blank=True, db_column="key_hint")
    fingerprint = models.CharField(max_length=100)
    status = models.CharField(words("state", "状态"), max_length=16, choices=Status, default=Status.UNCHECKED)
    is_valid = models.BooleanField(words("usable", "可用"), default=True)
    last_validated = models.DateTimeField(words("last checked", "上次验证"), null=True, blank=True)
    last_used_at = models.DateTimeField(words("last used", "上次使用"), null=True, blank=True)
    # The highest priority is tried first, the oldest of equals. Weights are kept and not used.
    priority = models.SmallIntegerField(default=0)
    weight = models.PositiveSmallIntegerField(default=1)

    class Meta:
        db_table = "api_keys"
        verbose_name = words("provider key", "服务商密钥")
        verbose_name_plural = words("provider keys", "服务商密钥")
        constraints = (models.UniqueConstraint(fields=("user", "vendor", "label"), name="api_keys_one_per_label"),)
        indexes = (models.Index(fields=("user", "vendor"), name="idx_api_keys_user_provider"),)

    def __str__(self) -> str:
        return " ".join(filter(None, (self.vendor, self.label, self.hint)))

    @property
    def binding(self) -> Binding:
        """What this row's secret is bound to."""
        return Binding(
            record_id=self.pk,
            user_id=self.user_id,
            vendor=self.vendor,
            origin=self.origin,
            mode=self.mode,
            secret_version=self.secret_version,
        )

    @property
    def sealed(self) -> Sealed:
        """This row's envelope."""
        return Sealed(
            algorithm=self.algorithm,
            kek_id=self.kek_id,
            kek_version=self.kek_version,
            wrapped_dek=bytes(self.wrapped_dek),
            dek_nonce=bytes(self.dek_nonce),
            nonce=bytes(self.nonce),
            ciphertext=bytes(self.ciphertext),
        )

    @sealed.setter
    def sealed(self, envelope: Sealed) -> None:
        for name in Sealed.__dataclass_fields__:
            setattr(self, name, getattr(envelope, name))
