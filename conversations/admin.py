"""Windows for support: what was said and how each reply came about. Nothing is changed here."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from chatplatform.kernel.admin import ReadOnly
from chatplatform.kernel.words import words
from conversations.models import Conversation, Generation, Message

# How a state looks in a list.
COLOURS = {
    Generation.Status.QUEUED: "info",
    Generation.Status.RUNNING: "info",
    Generation.Status.COMPLETED: "success",
    Generation.Status.STOPPED: "warning",
    Generation.Status.INTERRUPTED: "warning",
    Generation.Status.FAILED: "danger",
}


class MessageInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """A conversation's messages, the beginning of each."""

    model = Message
    fk_name = "conversation"
    fields = ("created_at", "role", "model", "beginning", "tokens_output")
    readonly_fields = fields
    ordering = ("created_at",)
    extra = 0
    show_change_link = True
    hide_title = True
    per_page = 50

    @admin.display(description=words("text", "内容"))
    def beginning(self, message: Message) -> str:
        return message.content if len(message.content) <= 200 else f"{message.content[:200]}…"


@admin.register(Conversation)
class ConversationAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Conversations; deleted ones are shown to operators until they are purged."""

    list_display = ("__str__", "user", "model", "messages_count", "updated_at", "deleted_at")
    list_filter = (("deleted_at", admin.EmptyFieldListFilter), "updated_at")
    list_select_related = ("user", "model")
    search_fields = ("title", "user__email", "user__nickname", "id")
    search_help_text = words("Title, owner or id", "标题、所有者或编号")
    ordering = ("-updated_at",)
    list_per_page = 50
    show_full_result_count = False
    fields = readonly_fields = ("id", "user", "title", "model", "active_turn", "created_at", "updated_at", "deleted_at")
    inlines = (MessageInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        found: QuerySet[Conversation] = super().get_queryset(request)
        return found.annotate(messages_total=Count("messages"))

    @admin.display(description=words("messages", "消息数"), ordering="messages_total")
    def messages_count(self, conversation: Any) -> int:
        return int(conversation.messages_total)


@admin.register(Message)
class MessageAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """One message, whole."""

    list_display = ("created_at", "role", "user", "model", "beginning")
    list_filter = ("role", "created_at")
    list_select_related = ("user", "model")
    search_fields = ("id", "conversation__id", "user__email")
    search_help_text = words("Id of the message or conversation, or its owner", "消息或会话编号，或所有者")
    ordering = ("-created_at",)
    list_per_page = 50
    show_full_result_count = False
    fields = readonly_fields = (
        "id",
        "conversation",
        "user",
        "role",
        "model",
        "version",
        "content",
        "parts",
        "tokens_input",
        "tokens_output",
        "client_message_id",
        "created_at",
        "updated_at",
    )

    @admin.display(description=words("text", "内容"))
    def beginning(self, message: Message) -> str:
        return message.content if len(message.content) <= 80 else f"{message.content[:80]}…"


@admin.register(Generation)
class GenerationAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """How a reply came about: its state, its times, and what happened on the way."""

    list_display = ("created_at", "state", "model", "vendor", "user", "waited", "took", "length", "error_code")
    list_filter = ("status", "vendor", "error_code", "created_at")
    list_select_related = ("user", "model")
    search_fields = ("id", "message__id", "conversation__id", "user__email")
    search_help_text = words(
        "Id of the generation, message or conversation, or its owner", "生成、消息或会话编号，或所有者"
    )
    ordering = ("-created_at",)
    list_per_page = 50
    show_full_result_count = False
    readonly_fields = (
        "id",
        "conversation",
        "message",
        "user",
        "model",
        "params",
        "status",
        "attempt",
        "finish_reason",
        "error_code",
        "stop_requested_at",
        "vendor",
        "key_id",
        "owner",
        "lease_until",
        "created_at",
        "waited",
        "answered",
        "took",
        "events",
        "length",
        "sha256",
        "usage_estimated",
    )
    fieldsets = (
        (None, {"fields": ("id", "conversation", "message", "user", "model", "params")}),
        (
            words("How it ended", "结果"),
            {"fields": ("status", "finish_reason", "error_code", "stop_requested_at", "length", "sha256")},
        ),
        (words("Timings", "耗时"), {"fields": ("created_at", "waited", "answered", "took", "events")}),
        (
            words("Who wrote it", "执行"),
            {"fields": ("vendor", "key_id", "usage_estimated", "attempt", "owner", "lease_until")},
        ),
    )

    @display(description=words("state", "状态"), label=COLOURS, ordering="status")  # type: ignore[untyped-decorator]
    def state(self, generation: Generation) -> tuple[str, str]:
        return generation.status, generation.get_status_display()

    @admin.display(description=words("until the first words", "首字耗时"))
    def waited(self, generation: Generation) -> str:
        return _seconds(generation.created_at, generation.first_delta_at)

    @admin.display(description=words("until the vendor answered", "服务商响应耗时"))
    def answered(self, generation: Generation) -> str:
        return _seconds(generation.created_at, generation.started_at)

    @admin.display(description=words("altogether", "总耗时"))
    def took(self, generation: Generation) -> str:
        return _seconds(generation.created_at, generation.finished_at)

    @admin.display(description=words("what happened", "过程"))
    def events(self, generation: Generation) -> SafeString:
        rows = []
        for entry in generation.timeline:
            at = datetime.fromisoformat(entry["at"]) if "at" in entry else None
            more = ", ".join(f"{name}: {value}" for name, value in entry.items() if name not in ("at", "type"))
            rows.append((_seconds(generation.created_at, at), entry["type"], more))
        return format_html(
            '<table class="w-full"><tbody>{}</tbody></table>',
            format_html_join("", '<tr><td class="pr-4">{}</td><td class="pr-4">{}</td><td>{}</td></tr>', rows),
        )


def _seconds(start: datetime, end: datetime | None) -> str:
    return f"{(end - start).total_seconds():.3f} s" if end else "–"
