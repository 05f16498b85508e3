"""Sending a message: one transaction, and the same one if the phone sends it twice."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import msgspec
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from chatplatform.kernel import errors
from chatplatform.kernel.words import words
from conversations.models import Conversation, Generation, Message
from conversations.queries import conversation_for, message_for
from conversations.services.conversations import title_from
from providers import catalogue
from providers.models import AIModel

CLIENT_MESSAGE_ID = re.compile(r"[A-Za-z0-9._\-]{8,64}")
# Longer than anyone types and shorter than a frame; documents go in another way.
MOST_CHARACTERS = 60_000


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for with one message. Without `conversation_id` it begins a new conversation."""

    content: str
    conversation_id: UUID | None = None
    model_ref: str | None = None
    parent_id: UUID | None = None
    client_message_id: str | None = None
    params: dict[str, Any] = {}

    @property
    def payload_hash(self) -> str:
        """Names what was asked, without the id it was asked under."""
        asked = msgspec.structs.replace(self, client_message_id=None)
        return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()


@dataclass(frozen=True)
class Accepted:
    """A send that is stored. `duplicate`: it was stored before, and this is what it made then."""

    generation: Generation
    duplicate: bool = False


def check(send: Send) -> None:
    """ValidationFailed names what is wrong with it."""
    problems: dict[str, list[str]] = {}
    if not send.content.strip():
        problems["content"] = [str(words("Write something first.", "请先输入内容。"))]
    elif len(send.content) > MOST_CHARACTERS:
        problems["content"] = [str(words(f"At most {MOST_CHARACTERS} characters.", f"最多 {MOST_CHARACTERS} 个字符。"))]
    elif "\0" in send.content:
        problems["content"] = [str(words("The NUL character cannot be stored.", "不能包含空字符。"))]
    if send.client_message_id is not None and not CLIENT_MESSAGE_ID.fullmatch(send.client_message_id):
        problem = words(
            "8 to 64 letters, digits, dots, underscores or hyphens.", "应为 8 到 64 位字母、数字、点、下划线或连字符。"
        )
        problems["client_message_id"] = [str(problem)]
    if problems:
        raise errors.ValidationFailed(problems)


def repeated(user: User, send: Send) -> Accepted | None:
    """What an earlier send under the same id made; None if there was none. DuplicateWithOtherText if it said
    something else."""
    if send.client_message_id is None:
        return None
    message = Message.objects.filter(user=user, client_message_id=send.client_message_id).first()
    if message is None:
        return None
    if message.payload_hash != send.payload_hash:
        raise errors.DuplicateWithOtherText
    generation = Generation.objects.whole().filter(turn=message).earliest("created_at")
    return Accepted(generation, duplicate=True)


def accept(user: User, send: Send) -> Accepted:
    """Store the message, an empty reply and a queued generation; or give back what the same send made before.

    Raises ValidationFailed, NotFound (conversation or parent), ModelNotFound, AlreadyGenerating,
    DuplicateWithOtherText. Nothing is half written.
    """
    check(send)
    try:
        return _store(user, send)
    except (IntegrityError, errors.AlreadyGenerating):
        # The same send may have come in by another socket at the same moment and won.
        if earlier := repeated(user, send):
            return earlier
        raise


@transaction.atomic
def _store(user: User, send: Send) -> Accepted:
    turn = uuid4()
    if send.conversation_id is None:
        model = catalogue.model_for(user, send.model_ref)
        conversation = Conversation.objects.create(
            user=user, model=model, title=title_from(send.content), active_turn=turn
        )
        parent = None
    else:
        conversation = conversation_for(user, send.conversation_id)
        if not Conversation.objects.begin_turn(conversation.pk, turn):
            raise errors.AlreadyGenerating(**_what_runs_in(conversation))
        model = catalogue.model_for(user, send.model_ref or _still_offered(user, conversation.model))
        parent = _parent_in(conversation, send.parent_id)
        if conversation.model is not None and conversation.model != model:
            audit.model_switched(user, conversation.pk, model.qualified_name)
        Conversation.objects.filter(pk=conversation.pk).update(
            model=model, updated_at=now(), title=conversation.title or title_from(send.content)
        )
    asked = Message.objects.create(
        id=turn,
        conversation=conversation,
        user=user,
        parent=parent,
        role=Message.Role.USER,
        content=send.content,
        parts=[{"type": "text", "text": send.content}],
        client_message_id=send.client_message_id,
        payload_hash=send.payload_hash if send.client_message_id else "",
    )
    reply = Message.objects.create(
        conversation=conversation, user=user, parent=asked, role=Message.Role.ASSISTANT, model=model
    )
    generation = Generation.objects.create(
        conversation=conversation, user=user, turn=asked, message=reply, model=model, params=send.params
    )
    return Accepted(generation)


def continue_reply(user: User, message_id: UUID, model_ref: str | None) -> Generation:
    """A queued generation that goes on from where a reply was stopped, cut off or ran out of room, by the same model or
    another one. It makes a new version of the reply, whose text begins with what was there.

    Raises NotFound, NothingToContinue, ModelNotFound, AlreadyGenerating.
    """
    with transaction.atomic():
        cut = message_for(user, message_id)
        earlier: Generation | None = getattr(cut, "generation", None)
        if earlier is None or not earlier.can_be_continued or not cut.content or _was_answered(cut):
            raise errors.NothingToContinue
        if not Conversation.objects.begin_turn(cut.conversation_id, earlier.turn_id):
            raise errors.AlreadyGenerating(**_what_runs_in(cut.conversation))
        model = catalogue.model_for(user, model_ref or _still_offered(user, cut.model))
        Conversation.objects.filter(pk=cut.conversation_id).update(model=model, updated_at=now())
        versions = Message.objects.filter(parent=cut.parent_id, role=Message.Role.ASSISTANT)
        reply = Message.objects.create(
            conversation=cut.conversation,
            user=user,
            parent=cut.parent,
            role=Message.Role.ASSISTANT,
            model=model,
            version=(versions.aggregate(Max("version"))["version__max"] or 0) + 1,
        )
        made = Generation.objects.create(
            conversation=cut.conversation,
            user=user,
            turn=earlier.turn,
            message=reply,
            model=model,
            params=earlier.params,
            continued_from=earlier,
        )
    return Generation.objects.whole().get(pk=made.pk)


def _what_runs_in(conversation: Conversation) -> dict[str, Any]:
    running = Generation.objects.alive().filter(conversation=conversation).values_list("pk", flat=True).first()
    return {"session_id": str(conversation.pk), "generation_id": str(running) if running else None}


def _still_offered(user: User, model: AIModel | None) -> UUID | None:
    """The model if it is still offered to this person; None means the default one."""
    if model is None:
        return None
    try:
        return catalogue.model_for(user, model.pk).pk
    except errors.ModelNotFound:
        return None


def _was_answered(reply: Message) -> bool:
    """Whether the conversation went on after this reply: another version of it would leave out what was said since."""
    later = Message.objects.filter(conversation=reply.conversation_id, created_at__gt=reply.created_at, deleted_at=None)
    return later.exclude(parent=reply.parent_id).exists()


def _parent_in(conversation: Conversation, parent_id: UUID | None) -> Message | None:
    """The message a send answers: the one named, or the latest."""
    there = Message.objects.filter(conversation=conversation, deleted_at=None)
    if parent_id is None:
        return there.order_by("-created_at", "-pk").first()
    parent = there.filter(pk=parent_id).first()
    if parent is None:
        raise errors.NotFound(field="parent_id")
    return parent
