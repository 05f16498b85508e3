"""A conversation; on the wire, in the documents' word, a session."""

from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db import models

from chatplatform.kernel.models import StampedModel
from chatplatform.kernel.words import words

if TYPE_CHECKING:
    from accounts.models import User


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def of(self, user: "User") -> "ConversationQuerySet":
        """What `user` may see: their own, and not deleted."""
        return self.filter(user=user, deleted_at=None)

    def begin_turn(self, conversation_id: UUID, turn: UUID) -> bool:
        """Claim the conversation for one turn. False if another one is being answered."""
        return bool(self.filter(pk=conversation_id, active_turn=None, deleted_at=None).update(active_turn=turn))

    def end_turn(self, conversation_id: UUID, turn: UUID) -> None:
        """Let the next turn in; nothing happens if this one was not the active one."""
        self.filter(pk=conversation_id, active_turn=turn).update(active_turn=None)


class Conversation(StampedModel):
    """A thread of messages between a person and whichever models they choose."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=200, blank=True)
    model = models.ForeignKey("providers.AIModel", models.SET_NULL, null=True, blank=True, related_name="+")
    # The user's message that is being answered. One turn at a time: claimed and released by counted updates.
    active_turn = models.UUIDField(null=True, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        db_table = "sessions"
        verbose_name = words("conversation", "会话")
        verbose_name_plural = words("conversations", "会话")
        indexes = [
            models.Index(fields=["user", "-updated_at"], name="idx_sessions_user_updated"),
            models.Index(fields=["-updated_at"], name="idx_sessions_updated_at"),
        ]

    def __str__(self) -> str:
        return self.title or str(self.pk)
