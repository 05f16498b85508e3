"""What a person does with a conversation."""

from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from accounts.models import User
from conversations.models import Conversation, Generation
from conversations.queries import conversation_for
from providers import catalogue

TITLE_LENGTH = 40


def start_conversation(*, user: User, title: str = "", model_ref: str | None = None) -> Conversation:
    """A new, empty conversation; ModelNotFound if the model is not offered to this person."""
    model = catalogue.model_for(user, model_ref) if model_ref else None
    return Conversation.objects.create(user=user, title=title, model=model)


@transaction.atomic
def rename_conversation(*, user: User, conversation_id: UUID, title: str) -> Conversation:
    """Give it another title."""
    conversation = conversation_for(user, conversation_id)
    conversation.title = title
    conversation.save(update_fields=["title", "updated_at"])
    return conversation


@transaction.atomic
def delete_conversation(*, user: User, conversation_id: UUID) -> list[Generation]:
    """Take it out of sight; its rows stay, so that it can be restored. What is written in it is asked to stop, and
    returned, to be nudged."""
    conversation = conversation_for(user, conversation_id)
    conversation.deleted_at = now()
    conversation.save(update_fields=["deleted_at", "updated_at"])
    return Generation.objects.filter(conversation=conversation).ask_to_stop()


def title_from(content: str) -> str:
    """A first title: the beginning of the first message, on one line."""
    line = " ".join(content.split())
    return line if len(line) <= TITLE_LENGTH else f"{line[:TITLE_LENGTH].rstrip()}…"
