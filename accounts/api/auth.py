"""`/api/v1/auth`: making an account, signing in, staying signed in, signing out."""

from typing import Any, cast

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import limits
from accounts.api.users import UserOut
from accounts.authentication import BearerAuthentication, Signed, ticket_for
from accounts.clients import origin_of
from accounts.models import User
from accounts.services import tokens
from accounts.services.login import sign_in, sign_out
from accounts.services.registration import register
from chatplatform.kernel.api import StrictSerializer
from chatplatform.kernel.errors import Unauthenticated

# A sentence is welcome as a password, a novel is not.
LONGEST_PASSWORD = 1024


class SignedInOut(serializers.Serializer[Any]):
    """A person with the tokens of the device they have just signed in on."""

    user = UserOut()
    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds until the access token expires.")


def _signed_in(user: User, pair: tokens.TokenPair, *, code: int = status.HTTP_200_OK) -> Response:
    answer = {
        "user": user,
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
    }
    return Response(SignedInOut(answer).data, status=code)


class PublicView(APIView):
    """A door for people who are not signed in. A stale token that a client sends along does not matter here."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class RegisterIn(StrictSerializer):
    """A new account."""

    email = serializers.EmailField(max_length=255)
    password = serializers.CharField(max_length=LONGEST_PASSWORD, trim_whitespace=False)
    nickname = serializers.CharField(max_length=100, allow_blank=True, default="")


class RegisterView(PublicView):
    """`POST /api/v1/auth/register`."""

    @extend_schema(request=RegisterIn, responses={201: SignedInOut})
    def post(self, request: Request) -> Response:
        """Make an account and sign in."""
        user, pair = register(**RegisterIn.read(request), origin=origin_of(request))
        return _signed_in(user, pair, code=status.HTTP_201_CREATED)


class LoginIn(StrictSerializer):
    """An account and its password. The address is any text: a malformed one is wrong like any other."""

    email = serializers.CharField(max_length=255)
    password = serializers.CharField(max_length=LONGEST_PASSWORD, trim_whitespace=False)
    device_name = serializers.CharField(max_length=100, allow_blank=True, default="")


class LoginView(PublicView):
    """`POST /api/v1/auth/login`."""

    @extend_schema(request=LoginIn, responses=SignedInOut)
    def post(self, request: Request) -> Response:
        """Sign in with a password."""
        return _signed_in(*sign_in(**LoginIn.read(request), origin=origin_of(request)))


class RefreshIn(StrictSerializer):
    """A refresh token, good for one exchange."""

    refresh_token = serializers.CharField(max_length=200)


class RefreshView(PublicView):
    """`POST /api/v1/auth/refresh`."""

    @extend_schema(request=RefreshIn, responses=SignedInOut)
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for new tokens; the old one is used up."""
        return _signed_in(*tokens.refresh(**RefreshIn.read(request), origin=origin_of(request)))


class LogoutIn(StrictSerializer):
    """The device's refresh token, for a client whose access token has expired."""

    refresh_token = serializers.CharField(max_length=200, required=False)


class LogoutOut(serializers.Serializer[Any]):
    """`signed_out` is false if the device was signed out already."""

    signed_out = serializers.BooleanField()


class LogoutView(APIView):
    """`POST /api/v1/auth/logout`."""

    authentication_classes = (BearerAuthentication,)
    permission_classes = (AllowAny,)

    def perform_authentication(self, request: Request) -> None:
        """Wait until the body has been read: with a refresh token in it the bearer, expired or not, is not needed."""

    @extend_schema(request=LogoutIn, responses=LogoutOut)
    def post(self, request: Request) -> Response:
        """Sign this device out; its tokens are worthless from now on."""
        if refresh_token := LogoutIn.read(request).get("refresh_token"):
            device = tokens.device_of(refresh_token)
            user_id, device_id = device.user_id, device.pk
        elif isinstance(request.auth, Signed):
            user_id, device_id = request.auth.user.pk, request.auth.device_id
        else:
            raise Unauthenticated
        signed_out = sign_out(user_id=user_id, device_id=device_id, origin=origin_of(request))
        return Response({"signed_out": signed_out})


class TicketOut(serializers.Serializer[Any]):
    """A word that opens one socket, once."""

    ticket = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds within which the ticket must be used.")


class TicketView(APIView):
    """`POST /api/v1/auth/ws-ticket`. Only a token gets one: a cookie never opens a socket."""

    authentication_classes = (BearerAuthentication,)

    @extend_schema(request=None, responses=TicketOut)
    def post(self, request: Request) -> Response:
        """Get a one-time ticket to open a socket with."""
        signed = cast(Signed, request.auth)
        limits.tickets_by(signed.user.pk).hit()
        return Response({"ticket": ticket_for(signed), "expires_in": settings.SOCKET_TICKET_SECONDS})
