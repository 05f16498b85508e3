"""What an operator changed about a vendor."""

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from chatplatform.kernel.errors import ValidationFailed
from chatplatform.kernel.models import StampedModel
from chatplatform.kernel.words import words
from keyvault.origin import canonical


class VendorSetting(StampedModel):
    """Switches a vendor of the table off or moves its address, or adds one that copies OpenAI. Keys are not here: the
    operator's come from the environment, people's from the vault."""

    slug = models.CharField(
        words("vendor", "服务商"),
        max_length=50,
        unique=True,
        validators=[RegexValidator(r"\A[a-z0-9][a-z0-9_-]*\Z")],
        help_text=words(
            "One of the known vendors, or a new word of small letters, digits, - and _.",
            "已有的服务商，或由小写字母、数字、- 和 _ 组成的新标识。",
        ),
    )
    enabled = models.BooleanField(words("offered", "启用"), default=True)
    base_url = models.CharField(
        words("address", "地址"),
        max_length=500,
        blank=True,
        help_text=words(
            "Where its API begins, such as https://api.example.com/v1. Empty: the known address.",
            "API 的起始地址，例如 https://api.example.com/v1；留空则用默认地址。",
        ),
    )
    display_name = models.CharField(words("shown as", "显示名称"), max_length=100, blank=True)
    dialect = models.CharField(
        words("dialect", "协议"),
        max_length=20,
        choices=(("openai", "OpenAI"),),
        default="openai",
        help_text=words("Of a vendor added here.", "仅用于此处新增的服务商。"),
    )
    needs_key = models.BooleanField(
        words("needs a key", "需要密钥"),
        default=True,
        help_text=words(
            "Of a vendor added here: if not, everybody is offered its models.",
            "仅用于此处新增的服务商：不需要密钥时，向所有人提供其模型。",
        ),
    )

    class Meta:
        db_table = "vendor_settings"
        ordering = ("slug",)
        verbose_name = words("vendor setting", "服务商设置")
        verbose_name_plural = words("vendor settings", "服务商设置")

    def __str__(self) -> str:
        return self.slug

    def clean(self) -> None:
        """Put the address into the one spelling that keys are bound to."""
        if self.base_url:
            try:
                self.base_url = canonical(self.base_url).base_url
            except ValidationFailed as failure:
                raise ValidationError(dict(failure.details)) from None
