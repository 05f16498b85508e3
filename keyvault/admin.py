"""Keys as operators see them: whose, for what, and in what state. Never what they are."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.module_loading import import_string
from unfold.admin import ModelAdmin

from chatplatform.kernel import outbound
from chatplatform.kernel.errors import AppError
from chatplatform.kernel.words import words
from keyvault.models import Outcome, ProviderKey
from keyvault.services import delete_key

VERDICTS = {
    Outcome.VALID: words("valid", "有效"),
    Outcome.INVALID: words("invalid", "无效"),
    Outcome.EXHAUSTED: words("out of credit", "余额不足"),
    Outcome.UNKNOWN: words("unknown, for the vendor did not say", "未知，服务商没有给出结论"),
}


@admin.register(ProviderKey)
class ProviderKeyAdmin(ModelAdmin):  # type: ignore[misc]
    """A window: nothing is added or changed here. A key may be deleted, and shown once to its vendor.

    The owner's audit trail tells of both without an address, for it would be the operator's; the admin's own log has
    the operator's name.
    """

    list_display = ("vendor", "label", "hint", "user", "status", "is_valid", "last_validated", "last_used_at")
    list_filter = ("vendor", "status", "is_valid")
    list_select_related = ("user",)
    search_fields = ("user__email", "user__nickname")
    search_help_text = words("Owner's e-mail or name", "所有者的邮箱或昵称")
    ordering = ("-created_at",)
    list_per_page = 50
    fields = readonly_fields = (
        "vendor",
        "label",
        "hint",
        "user",
        "status",
        "is_valid",
        "last_validated",
        "last_used_at",
        "created_at",
        "updated_at",
    )
    actions = ("validate",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ProviderKey | None = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: ProviderKey) -> None:
        delete_key(key=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ProviderKey]) -> None:
        for key in queryset:
            delete_key(key=key)

    @admin.action(description=words("Validate with the vendor", "向服务商验证"), permissions=["view"])
    def validate(self, request: HttpRequest, queryset: QuerySet[ProviderKey]) -> None:
        """Ask the vendors of the selected keys, all at once, and say what came of it."""
        keys = list(queryset.select_related("user")[: self.list_per_page])
        for key, verdict in zip(keys, outbound.run(_verdicts(keys)), strict=True):
            level = messages.SUCCESS if verdict is Outcome.VALID else messages.WARNING
            said = VERDICTS[verdict] if isinstance(verdict, Outcome) else verdict.message
            self.message_user(request, f"{key}: {said}", level)
            self.log_change(request, key, f"validated: {verdict if isinstance(verdict, Outcome) else verdict.code}")


async def _verdicts(keys: Sequence[ProviderKey]) -> list[Outcome | AppError]:
    probe: Callable[[ProviderKey], Awaitable[Outcome]] = import_string(settings.KEYVAULT_PROBE)

    async def verdict(key: ProviderKey) -> Outcome | AppError:
        try:
            return await probe(key)
        except AppError as failure:
            return failure

    return await asyncio.gather(*map(verdict, keys))
