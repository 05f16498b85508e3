"""A message: one node of a conversation's tree."""

from django.conf import settings
from django.db import models

from chatplatform.kernel.models import StampedModel
from chatplatform.kernel.words import words


class Message(StampedModel):
    """What a person or a model said.

    `parts` is the whole of it in order (`{"type": "text" | "thinking", "text": …}`); `content` is its plain text, kept
    beside for lists and search. A reply's status is its generation's and is not stored twice.
    """

    class Role(models.TextChoices):
        USER = "user", words("person", "用户")
        ASSISTANT = "assistant", words("model", "模型")

    conversation = models.ForeignKey(
        "conversations.Conversation", models.CASCADE, db_column="session_id", related_name="messages", db_index=False
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    parent = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="children")
    role = models.CharField(max_length=20, choices=Role)
    content = models.TextField(blank=True)
    parts = models.JSONField(default=list)
    model = models.ForeignKey("providers.AIModel", models.SET_NULL, null=True, blank=True, related_name="+")
    tokens_input = models.PositiveIntegerField(default=0)
    tokens_output = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(default=1)
    # The client's own id for a send, and what it sent: the same again is the same message, another text is refused.
    client_message_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - NULL is "none", and unique
    payload_hash = models.CharField(max_length=64, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "messages"
        verbose_name = words("message", "消息")
        verbose_name_plural = words("messages", "消息")
        indexes = [
            models.Index(fields=["conversation", "created_at", "id"], name="idx_messages_session_id"),
            models.Index(fields=["created_at"], name="idx_messages_created_at"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "client_message_id"], name="one_message_per_client_id"),
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.content[:60]}"
