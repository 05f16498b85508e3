"""`/api/v1/users`: what people see and say of themselves."""

from typing import cast

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.clients import origin_of
from accounts.models.user import User, web_address
from accounts.services.profile import change_profile
from chatplatform.kernel.api import StrictSerializer


class UserOut(serializers.Serializer[User]):
    """A person, as they themselves see them."""

    id = serializers.UUIDField()
    email = serializers.CharField(allow_null=True)
    nickname = serializers.CharField()
    avatar_url = serializers.CharField()
    status = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_login_at = serializers.DateTimeField(source="last_login", allow_null=True)


class ProfileIn(StrictSerializer):
    """What a person may change; what is left out stays."""

    nickname = serializers.CharField(max_length=100, allow_blank=True, required=False)
    avatar_url = serializers.CharField(max_length=500, allow_blank=True, required=False, validators=[web_address])


class MeView(APIView):
    """`/api/v1/users/me`."""

    @extend_schema(responses=UserOut)
    def get(self, request: Request) -> Response:
        """Who am I?"""
        return Response(UserOut(cast(User, request.user)).data)

    @extend_schema(request=ProfileIn, responses=UserOut)
    def put(self, request: Request) -> Response:
        """Change my nickname or my picture."""
        me = cast(User, request.user)
        change_profile(user=me, **ProfileIn.read(request), origin=origin_of(request))
        return Response(UserOut(me).data)
