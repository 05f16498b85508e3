"""The reads: who may see what, lists, one page of history, the branch that leads to a message, how a reply stands."""

from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import User
from chatplatform.kernel import errors
from conversations.models import Conversation, Generation, Message
from conversations.streaming.events import Event, Snapshot


def conversation_for(user: User, conversation_id: UUID) -> Conversation:
    """The conversation if it is this person's and not deleted; NotFound otherwise."""
    conversation = Conversation.objects.of(user).select_related("model").filter(pk=conversation_id).first()
    if conversation is None:
        raise errors.NotFound
    return conversation


def conversations_of(user: User, *, archived: bool = False) -> QuerySet[Conversation]:
    """A person's list, the latest first."""
    own = Conversation.objects.of(user).filter(archived_at__isnull=not archived)
    return own.select_related("model").order_by("-updated_at", "-id")


def messages_of(user: User) -> QuerySet[Message]:
    """Every message a person may read, with what the doors show of it."""
    readable = Message.objects.filter(conversation__user=user, conversation__deleted_at=None, deleted_at=None)
    return readable.select_related("model", "generation", "generation__turn")


def message_for(user: User, message_id: UUID) -> Message:
    """The message if this person may read it; NotFound otherwise."""
    message = messages_of(user).filter(pk=message_id).first()
    if message is None:
        raise errors.NotFound
    return message


def history(user: User, conversation_id: UUID, *, before: UUID | None, limit: int) -> tuple[list[Message], bool]:
    """Up to `limit` messages before `before` (or the end), the oldest first, and whether there are earlier ones."""
    conversation = conversation_for(user, conversation_id)
    page = messages_of(user).filter(conversation=conversation)
    if before is not None:
        anchor = page.filter(pk=before).first()
        if anchor is None:
            raise errors.NotFound
        page = page.filter(Q(created_at__lt=anchor.created_at) | Q(created_at=anchor.created_at, pk__lt=anchor.pk))
    found = list(page.order_by("-created_at", "-pk")[: limit + 1])
    return found[:limit][::-1], len(found) > limit


def branch_to(message: Message) -> list[Message]:
    """The messages from the conversation's beginning down to `message`, which is the last."""
    parents: dict[UUID, UUID | None] = dict(
        Message.objects.filter(conversation_id=message.conversation_id).values_list("pk", "parent_id")
    )
    path: list[UUID] = []
    at: UUID | None = message.pk
    while at is not None:
        path.append(at)
        at = parents.get(at)
    found = Message.objects.in_bulk(path)
    return [found[pk] for pk in reversed(path) if found[pk].deleted_at is None]


def generation_for(user: User, generation_id: UUID) -> Generation:
    """The generation if it is this person's; NotFound otherwise."""
    generation = Generation.objects.whole().filter(pk=generation_id, user=user, conversation__deleted_at=None).first()
    if generation is None:
        raise errors.NotFound
    return generation


def latest_generation(user: User, conversation_id: UUID) -> Generation | None:
    """What runs in a conversation, or ran there last."""
    conversation = conversation_for(user, conversation_id)
    return Generation.objects.whole().filter(conversation=conversation).order_by("-created_at", "-pk").first()


def running_generations(user: User) -> list[Generation]:
    """What a returning client has to resume."""
    alive = Generation.objects.alive().filter(user=user, conversation__deleted_at=None)
    # Every sign-in asks, nearly always for nothing: naming all columns of four tables takes longer than finding none.
    return list(alive.only("conversation_id", "message_id", "attempt").order_by("created_at"))


def standing(generation_id: UUID) -> Snapshot:
    """How a generation stands in the database: all text saved so far and the number that it reaches."""
    generation = Generation.objects.whole().get(pk=generation_id)
    last = terminal_event(generation) if generation.ended else None
    return Snapshot(
        attempt=generation.attempt,
        seq=generation.seq,
        status=generation.status,
        parts=generation.message.parts,
        last=last,
        owner=generation.owner,
    )


def terminal_event(generation: Generation) -> Event:
    """The one last event of a generation that has ended, as it was given out when it did."""
    return Event("done", generation.attempt, generation.seq, generation.seq, data=terminal_data(generation))


def terminal_data(generation: Generation) -> dict[str, object]:
    """What the terminal event says; `error` is a code, which every door puts into words."""
    message = generation.message
    data: dict[str, object] = {
        "message_id": str(message.pk),
        "status": generation.status,
        "finish_reason": generation.finish_reason or None,
        "length": generation.length,
        "sha256": generation.sha256,
        "usage": {
            "tokens_input": message.tokens_input,
            "tokens_output": message.tokens_output,
            "estimated": generation.usage_estimated,
        },
    }
    if generation.error_code:
        data["error"] = generation.error_code
    return data
