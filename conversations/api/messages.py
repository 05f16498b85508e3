"""`/api/v1/messages`: what was said."""

from typing import Any, cast
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from chatplatform.kernel import errors
from chatplatform.kernel.api import whole_number
from chatplatform.kernel.schema import META_BEFORE
from chatplatform.kernel.words import words
from conversations import queries
from conversations.models import Generation, Message


class GenerationOut(serializers.Serializer[Generation]):
    """How a reply came about, and what proves that it is whole."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Generation.Status.choices)
    attempt = serializers.IntegerField()
    finish_reason = serializers.CharField(allow_blank=True)
    error_code = serializers.CharField(allow_blank=True)
    error = serializers.SerializerMethodField(help_text="What went wrong, in the language of the request.")
    length = serializers.IntegerField()
    sha256 = serializers.CharField(allow_blank=True)
    usage_estimated = serializers.BooleanField()

    def get_error(self, generation: Generation) -> dict[str, Any] | None:
        return errors.in_words(generation.error_code) if generation.error_code else None


class MessageOut(serializers.Serializer[Message]):
    """A message. `generation` is there for replies; its status is the message's."""

    id = serializers.UUIDField()
    session_id = serializers.UUIDField(source="conversation_id")
    parent_id = serializers.UUIDField(allow_null=True)
    role = serializers.ChoiceField(choices=Message.Role.choices)
    content = serializers.CharField()
    parts = serializers.ListField(child=serializers.DictField())
    model_id = serializers.UUIDField(allow_null=True)
    model = serializers.CharField(source="model.qualified_name", default=None, allow_null=True)
    tokens_input = serializers.IntegerField()
    tokens_output = serializers.IntegerField()
    version = serializers.IntegerField()
    client_message_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    generation = GenerationOut(allow_null=True, default=None)
    status = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=Generation.Status.choices))
    def get_status(self, message: Message) -> str:
        generation: Generation | None = getattr(message, "generation", None)
        return str(generation.status if generation else Generation.Status.COMPLETED)


class HistoryView(APIView):
    """`/api/v1/messages/session/{session_id}`."""

    meta_schema = META_BEFORE

    @extend_schema(
        operation_id="messages_history",
        parameters=[
            OpenApiParameter("before", OpenApiTypes.UUID, description="Only messages earlier than this one."),
            OpenApiParameter("limit", OpenApiTypes.INT, default=50),
        ],
        responses=MessageOut(many=True),
    )
    def get(self, request: Request, session_id: UUID) -> Response:
        """A page of a conversation, the oldest first; `meta.has_more` says whether there are earlier ones."""
        limit = whole_number(request, "limit", default=50, most=200)
        before = _uuid(request, "before")
        found, more = queries.history(cast(User, request.user), session_id, before=before, limit=limit)
        response = Response([MessageOut(message).data for message in found])
        response.meta = {"limit": limit, "has_more": more}  # type: ignore[attr-defined]
        return response


class MessageView(APIView):
    """`/api/v1/messages/{id}`."""

    @extend_schema(operation_id="messages_read", responses=MessageOut)
    def get(self, request: Request, message_id: UUID) -> Response:
        """One message."""
        return Response(MessageOut(queries.message_for(cast(User, request.user), message_id)).data)


def _uuid(request: Request, name: str) -> UUID | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise errors.ValidationFailed({name: [str(words("This is not an id.", "不是有效的编号。"))]}) from None
