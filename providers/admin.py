"""Models and vendors for operators: what is offered, at which price, from where; a box to try a model in; and a window
on what calls cost."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Field, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import get_language, override
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.models import User
from chatplatform.kernel.admin import ReadOnly
from chatplatform.kernel.errors import AppError
from chatplatform.kernel.words import words
from providers.catalogue import all_vendors, open_to_all, operator_key, vendors
from providers.completion import Prompt, PromptMessage, Role, Sampling, Text, TextDelta, ThinkingDelta, UsageReport
from providers.models import AIModel, UsageRecord, VendorSetting
from providers.routing.router import open_reply

log = logging.getLogger(__name__)

# A trial is a look, not a conversation.
LONGEST_TRIAL_PROMPT = 4_000
TRIAL_TOKENS = 1_000

# How the state of a call looks in a list.
STATE_COLOURS = {
    UsageRecord.State.RESERVED: "info",
    UsageRecord.State.SETTLED: "success",
    UsageRecord.State.RELEASED: "warning",
}


@admin.register(AIModel)
class AIModelAdmin(ModelAdmin):  # type: ignore[misc]
    """Switched off, never deleted: messages name models, and the next synchronisation would bring one back."""

    list_display = (
        "display_name",
        "qualified_name",
        "is_active",
        "is_default",
        "context_length",
        "input_price",
        "output_price",
        "currency",
    )
    list_editable = ("is_active", "input_price", "output_price")
    list_filter = ("vendor", "is_active")
    search_fields = ("name", "display_name")
    list_per_page = 50
    readonly_fields = ("is_default", "created_at", "updated_at")
    actions = ("make_default", "switch_on", "switch_off")
    actions_detail = ("try_model",)

    def formfield_for_dbfield(self, db_field: "Field[Any, Any]", request: HttpRequest, **options: Any) -> Any:
        """A model of a vendor that is not there would never be offered."""
        if db_field.name == "vendor":
            options["widget"] = UnfoldAdminSelectWidget(choices=[(slug, slug) for slug in all_vendors()])
        return super().formfield_for_dbfield(db_field, request, **options)

    def has_delete_permission(self, request: HttpRequest, obj: AIModel | None = None) -> bool:
        return False

    @admin.display(description=words("name", "名称"), ordering="name")
    def qualified_name(self, model: AIModel) -> str:
        return model.qualified_name

    @admin.action(description=words("Make it the default model", "设为默认模型"), permissions=["change"])
    def make_default(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> None:
        """Only one model can be the default, so only one may be selected."""
        if queryset.count() != 1:
            self.message_user(request, words("Select exactly one model.", "请只选择一个模型。"), messages.ERROR)
            return
        with transaction.atomic():
            AIModel.objects.filter(is_default=True).update(is_default=False)
            queryset.update(is_default=True)

    @admin.action(description=words("Offer", "启用"), permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> None:
        queryset.update(is_active=True)

    @admin.action(description=words("Stop offering", "停用"), permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> None:
        queryset.update(is_active=False)

    @action(description=words("Try it", "试用"), url_path="try", permissions=["change"])  # type: ignore[untyped-decorator]
    def try_model(self, request: HttpRequest, object_id: str) -> HttpResponse | StreamingHttpResponse:
        """A page with a box; what is posted from it is answered as the model writes."""
        model: AIModel | None = self.get_object(request, object_id)
        if model is None:
            raise Http404
        if request.method == "POST":
            text = request.POST.get("text", "").strip()[:LONGEST_TRIAL_PROMPT]
            lines = _trial(cast(User, request.user).pk, model, text or "Hello!", get_language())
            return StreamingHttpResponse(
                lines, content_type="application/x-ndjson", headers={"X-Accel-Buffering": "no"}
            )
        context = self.admin_site.each_context(request) | {
            "title": words("Try a model", "试用模型"),
            "opts": self.opts,
            "original": model,
            "longest": LONGEST_TRIAL_PROMPT,
            "labels": {
                "prompt": words("Say something to it", "对它说点什么"),
                "send": words("Send", "发送"),
                "stop": words("Stop", "停止"),
                "broken": words("The connection broke off.", "连接中断了。"),
                "hello": words("Introduce yourself in one sentence.", "请用一句话介绍你自己。"),
            },
        }
        return TemplateResponse(request, "admin/providers/try_model.html", context)


async def _trial(user_id: UUID, model: AIModel, text: str, language: str | None) -> AsyncIterator[bytes]:
    """One JSON object a line: `thinking` and `text` as they come, then `usage` if there is one, or an `error`.

    The lines are made after the view has returned, so the reader's language comes along.
    """
    prompt = Prompt((PromptMessage(Role.USER, (Text(text),)),), sampling=Sampling(max_tokens=TRIAL_TOKENS))
    try:
        async with open_reply(user_id=user_id, model=model, prompt=prompt) as reply:
            for notice in reply.notices:
                yield _line("notice", _in(language, notice.message))
            async for event in reply.events():
                match event:
                    case TextDelta(text):
                        yield _line("text", text)
                    case ThinkingDelta(text):
                        yield _line("thinking", text)
                    case UsageReport(usage):
                        yield _line("usage", f"{usage.input_tokens} → {usage.output_tokens} tokens")
    except AppError as failure:
        yield _line("error", _in(language, failure.message))
    except Exception:  # the answer has begun, so no error page can follow: the log has the reason
        log.exception("a trial failed")
        yield _line("error", _in(language, AppError.message))


def _in(language: str | None, message: str) -> str:
    with override(language):
        return str(message)


def _line(kind: str, text: str) -> bytes:
    return json.dumps({kind: text}, ensure_ascii=False).encode() + b"\n"


@admin.register(VendorSetting)
class VendorSettingAdmin(ModelAdmin):  # type: ignore[misc]
    """Above the list stands every vendor as it is in force, whether a row changes it or not."""

    list_display = ("slug", "display_name", "enabled", "base_url")
    list_before_template = "admin/providers/vendors_in_force.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        on = vendors()
        states = [
            {
                "name": vendor.name,
                "slug": slug,
                "address": vendor.base_url,
                "key": operator_key(vendor) is not None,
                "offered": slug in on and open_to_all(vendor),
            }
            for slug, vendor in all_vendors().items()
        ]
        labels = {
            "vendor": words("Vendor", "服务商"),
            "address": words("Address in force", "生效地址"),
            "key": words("Operator's key", "运营方密钥"),
            "offered": words("Offered to everybody", "向所有人提供"),
        }
        context = {"vendor_states": states, "labels": labels} | (extra_context or {})
        response: HttpResponse = super().changelist_view(request, context)
        return response


@admin.register(UsageRecord)
class UsageAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """What every call cost, to read."""

    list_display = ("created_at", "user", "vendor", "model_name", "shown_state", "tokens", "amount", "estimated")
    list_filter = ("state", "estimated", "currency", "vendor")
    list_select_related = ("user",)
    date_hierarchy = "created_at"
    search_fields = ("generation_id", "user__email", "model_name")
    search_help_text = words("Id of the generation, person or model", "生成编号、用户或模型")
    ordering = ("-created_at",)
    list_per_page = 50
    show_full_result_count = False
    readonly_fields = ("shown_state", "amount")
    fieldsets = (
        (None, {"fields": ("user", "model", "vendor", "model_name", "key_id", "generation_id", "attempt")}),
        (words("Reserved", "预留"), {"fields": ("created_at", "reserved_tokens", "reserved_cost")}),
        (
            words("Settled", "结算"),
            {
                "fields": (
                    "shown_state",
                    "settled_at",
                    "input_tokens",
                    "cached_tokens",
                    "output_tokens",
                    "thinking_tokens",
                    "estimated",
                    "amount",
                )
            },
        ),
        (
            words("Prices per million tokens", "每百万 token 价格"),
            {"fields": ("input_price", "output_price", "currency")},
        ),
    )

    @display(description=words("state", "状态"), label=STATE_COLOURS, ordering="state")  # type: ignore[untyped-decorator]
    def shown_state(self, record: UsageRecord) -> tuple[str, str]:
        return record.state, record.get_state_display()

    @admin.display(description=words("tokens in → out", "输入 → 输出 token"))
    def tokens(self, record: UsageRecord) -> str:
        return f"{record.input_tokens} → {record.output_tokens}"

    @admin.display(description=words("cost", "费用"), ordering="cost")
    def amount(self, record: UsageRecord) -> str:
        return "–" if record.cost is None else f"{record.cost.normalize():f} {record.currency}"
