"""`/api/v1/sessions`: a person's conversations."""

from typing import cast
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from chatplatform.kernel.api import StrictSerializer, flag
from chatplatform.kernel.tasks import post
from conversations import queries
from conversations.generation.turn import nudge
from conversations.models import Conversation
from conversations.services import conversations as services


class SessionOut(serializers.Serializer[Conversation]):
    """A conversation in a list."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    model_id = serializers.UUIDField(allow_null=True)
    model = serializers.CharField(source="model.qualified_name", default=None, allow_null=True)
    archived = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_archived(self, conversation: Conversation) -> bool:
        return conversation.archived_at is not None


class SessionIn(StrictSerializer):
    """A new conversation; both may be left out."""

    title = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    model_id = serializers.CharField(max_length=200, required=False, default=None, allow_null=True)


class TitleIn(StrictSerializer):
    """Another title."""

    title = serializers.CharField(max_length=200)


class SessionsView(GenericAPIView[Conversation]):
    """`/api/v1/sessions`."""

    serializer_class = SessionOut

    def get_queryset(self) -> QuerySet[Conversation]:
        archived = flag(self.request, "archived", default=False)
        return queries.conversations_of(cast(User, self.request.user), archived=archived)

    @extend_schema(
        operation_id="sessions_list",
        parameters=[OpenApiParameter("archived", OpenApiTypes.BOOL, default=False)],
        responses=SessionOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """My conversations, the latest first."""
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response([SessionOut(conversation).data for conversation in page])

    @extend_schema(operation_id="sessions_create", request=SessionIn, responses={201: SessionOut})
    def post(self, request: Request) -> Response:
        """Begin a conversation."""
        asked = SessionIn.read(request)
        conversation = services.start_conversation(
            user=cast(User, request.user), title=asked["title"], model_ref=asked["model_id"]
        )
        return Response(SessionOut(conversation).data, status=201)


class SessionView(APIView):
    """`/api/v1/sessions/{id}`."""

    @extend_schema(operation_id="sessions_read", responses=SessionOut)
    def get(self, request: Request, session_id: UUID) -> Response:
        """One conversation."""
        return Response(SessionOut(queries.conversation_for(cast(User, request.user), session_id)).data)

    @extend_schema(operation_id="sessions_rename", request=TitleIn, responses=SessionOut)
    def put(self, request: Request, session_id: UUID) -> Response:
        """Give it another title."""
        user, asked = cast(User, request.user), TitleIn.read(request)
        conversation = services.rename_conversation(user=user, conversation_id=session_id, title=asked["title"])
        return Response(SessionOut(conversation).data)

    @extend_schema(operation_id="sessions_delete", responses={200: OpenApiTypes.NONE})
    def delete(self, request: Request, session_id: UUID) -> Response:
        """Take it out of sight; what is being written in it is stopped."""
        running = services.delete_conversation(user=cast(User, request.user), conversation_id=session_id)
        if running:
            post(nudge, running)
        return Response(None)
