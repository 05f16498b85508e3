"""The ledger's rows: what each call of a model was allowed to cost, and what it did cost.

    reserved ──► settled     the vendor answered; tokens and cost are its count, or an estimate that says so
       └───────► released    nothing came of it; it cost nothing

Either arrow is one counted update: of two who try, one wins, and neither state is ever left. The verbs are in
`providers/usage/ledger.py`.
"""

from decimal import Decimal

from django.conf import settings
from django.db import models
from django.utils import timezone

from chatplatform.kernel.models import UUIDModel
from chatplatform.kernel.words import words
from providers.models.ai_model import AIModel


class UsageQuerySet(models.QuerySet["UsageRecord"]):
    def reserved(self) -> "UsageQuerySet":
        """Those that have not ended."""
        return self.filter(state=UsageRecord.State.RESERVED)

    def release(self) -> int:
        """End those that have not ended, at no cost; how many that were."""
        return self.reserved().update(
            state=UsageRecord.State.RELEASED,
            cost=Decimal(0),
            input_tokens=0,
            estimated=False,
            settled_at=timezone.now(),
        )


class UsageRecord(UUIDModel):
    """One call of one model. It keeps names and prices of its own, and so can be read when the model has changed or is
    gone. Money is exact: ten decimals hold any number of tokens at a price with four per million. (SQLite keeps
    fifteen digits of a number, and so is exact below 100 000 of a currency; PostgreSQL always is.)"""

    class State(models.TextChoices):
        RESERVED = "reserved", words("reserved", "已预留")
        SETTLED = "settled", words("settled", "已结算")
        RELEASED = "released", words("released", "已释放")

    # It needs no index of its own: one of those below begins with it.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        db_index=False,
        verbose_name=words("person", "用户"),
    )
    # What the call was made for, a plain id: whoever calls models knows what it means.
    generation_id = models.UUIDField(words("generation", "生成"))
    attempt = models.PositiveIntegerField(words("attempt", "尝试次数"))
    model = models.ForeignKey(
        AIModel, models.SET_NULL, null=True, related_name="+", verbose_name=words("model", "模型")
    )
    vendor = models.CharField(words("vendor", "服务商"), max_length=50)
    model_name = models.CharField(words("name of the model", "模型名称"), max_length=200)
    key_id = models.UUIDField(
        words("key", "密钥"), null=True, help_text=words("Empty: the operator's.", "留空：运营方的。")
    )
    state = models.CharField(words("state", "状态"), max_length=10, choices=State, default=State.RESERVED)

    # Prices per million tokens when the call began. Where they are not known, neither is what it costs.
    currency = models.CharField(words("currency", "货币"), max_length=3)
    input_price = models.DecimalField(words("input price", "输入价格"), max_digits=12, decimal_places=4, null=True)
    output_price = models.DecimalField(words("output price", "输出价格"), max_digits=12, decimal_places=4, null=True)
    reserved_tokens = models.PositiveBigIntegerField(words("reserved tokens", "预留 token"))
    reserved_cost = models.DecimalField(words("reserved cost", "预留费用"), max_digits=24, decimal_places=10, null=True)

    # Until the end, the estimate of the prompt.
    input_tokens = models.PositiveBigIntegerField(words("input tokens", "输入 token"), default=0)
    cached_tokens = models.PositiveBigIntegerField(words("of them cached", "其中缓存"), default=0)
    output_tokens = models.PositiveBigIntegerField(words("output tokens", "输出 token"), default=0)
    thinking_tokens = models.PositiveBigIntegerField(words("of them thinking", "其中思考"), default=0)
    estimated = models.BooleanField(words("estimated", "估算"), default=True)
    cost = models.DecimalField(words("cost", "费用"), max_digits=24, decimal_places=10, null=True)

    created_at = models.DateTimeField(words("begun", "开始时间"), auto_now_add=True)
    settled_at = models.DateTimeField(words("ended", "结束时间"), null=True)

    objects = UsageQuerySet.as_manager()

    class Meta:
        db_table = "usage_records"
        verbose_name = words("usage record", "用量记录")
        verbose_name_plural = words("usage records", "用量记录")
        constraints = (
            models.UniqueConstraint(fields=("generation_id", "attempt"), name="usage_records_generation_attempt"),
        )
        indexes = (
            models.Index(fields=("user", "-created_at"), name="idx_usage_records_user"),
            # Only what is under way, a few rows: what a person's open calls may cost, and what was forgotten.
            models.Index(fields=("user",), condition=models.Q(state="reserved"), name="idx_usage_records_reserved"),
        )

    def __str__(self) -> str:
        return f"{self.vendor}/{self.model_name}, {self.get_state_display()}"
