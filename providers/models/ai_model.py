"""One model of one vendor, as the catalogue offers it."""

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models

from chatplatform.kernel.models import StampedModel
from chatplatform.kernel.words import words


class AIModel(StampedModel):
    """A model people can talk to. Operators switch it on and off and keep its prices; nothing ever deletes it, because
    messages name it."""

    vendor = models.CharField(words("vendor", "服务商"), max_length=50, db_column="provider")
    name = models.CharField(
        words("name", "名称"),
        max_length=200,
        help_text=words("As the vendor calls it in its API.", "服务商 API 中的名称。"),
    )
    display_name = models.CharField(words("shown as", "显示名称"), max_length=200)
    context_length = models.PositiveIntegerField(
        words("context window", "上下文长度"),
        validators=[MinValueValidator(1)],
        help_text=words("In tokens, question and answer together.", "以 token 计，输入与输出合计。"),
    )
    max_output = models.PositiveIntegerField(
        words("longest answer", "最大输出"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=words("In tokens; empty: not known.", "以 token 计；留空表示未知。"),
    )
    input_price = models.DecimalField(
        words("input price", "输入价格"),
        max_digits=12,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=words("Per million tokens; empty: not known.", "每百万 token；留空表示未知。"),
    )
    output_price = models.DecimalField(
        words("output price", "输出价格"),
        max_digits=12,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=words("Per million tokens; empty: not known.", "每百万 token；留空表示未知。"),
    )
    currency = models.CharField(words("currency", "货币"), max_length=3, default="USD")
    capabilities = models.JSONField(
        words("capabilities", "能力"),
        default=list,
        blank=True,
        help_text=words(
            'A list of words, such as ["vision", "function_call", "reasoning"].',
            '词语列表，例如 ["vision", "function_call", "reasoning"]。',
        ),
    )
    is_active = models.BooleanField(words("offered", "启用"), default=True)
    is_default = models.BooleanField(
        words("default", "默认"),
        default=False,
        help_text=words("Answers when nobody chose a model. One at most.", "未选择模型时使用，最多一个。"),
    )
    position = models.PositiveIntegerField(
        words("position", "排序"), default=5000, help_text=words("Small numbers come first.", "数字小的排在前面。")
    )

    class Meta:
        db_table = "models"
        ordering = ("position", "vendor", "name")
        verbose_name = words("model", "模型")
        verbose_name_plural = words("models", "模型")
        constraints = (
            models.UniqueConstraint(fields=("vendor", "name"), name="models_vendor_name"),
            models.UniqueConstraint(
                fields=("is_default",), condition=models.Q(is_default=True), name="models_one_default"
            ),
        )

    def __str__(self) -> str:
        return self.qualified_name

    def clean(self) -> None:
        """Clients are promised a list of words."""
        if not (isinstance(self.capabilities, list) and all(isinstance(word, str) for word in self.capabilities)):
            raise ValidationError({"capabilities": words("Enter a list of words.", "请填写词语列表。")})

    @property
    def qualified_name(self) -> str:
        """`vendor/name`; the name may hold further slashes (`openrouter/openai/gpt-4o`)."""
        return f"{self.vendor}/{self.name}"
