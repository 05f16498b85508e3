"""Every answer of the API comes in one envelope, whatever went right or wrong."""

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.urls import path
from django.utils import timezone
from redis.exceptions import RedisError
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from chatplatform.kernel import errors
from chatplatform.kernel.api import StrictSerializer


class NoteInput(StrictSerializer):
    text = serializers.CharField(max_length=5)


class Notes(APIView):
    permission_classes = [AllowAny]

    def post(self, request):
        return Response(NoteInput.read(request), status=201)


class Busy(APIView):
    permission_classes = [AllowAny]

    def get(self, request):
        raise errors.RateLimited(retry_after=12.3456)


class WithoutServers(APIView):
    permission_classes = [AllowAny]
    lost = {"database": OperationalError("secret address"), "redis": RedisError("secret address")}

    def get(self, request):
        raise self.lost[request.query_params["lost"]]


class Private(APIView):
    def get(self, request):
        return Response("for nobody")


class SessionOutput(serializers.ModelSerializer):
    class Meta:
        model = Session
        fields = ["session_key"]


class Sessions(ListAPIView):
    permission_classes = [AllowAny]
    queryset = Session.objects.order_by("session_key")
    serializer_class = SessionOutput


urlpatterns = [
    path("notes", Notes.as_view()),
    path("busy", Busy.as_view()),
    path("without", WithoutServers.as_view()),
    path("private", Private.as_view()),
    path("sessions", Sessions.as_view()),
]
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


def post(client, body, content_type="application/json", **options):
    return client.post("/notes", body, content_type=content_type, **options)


def test_a_success_carries_its_data(client):
    answer = post(client, {"text": "好"})

    assert (answer.status_code, answer.json()) == (201, {"success": True, "data": {"text": "好"}})


def test_a_wrong_field_and_an_unknown_one_are_named(client):
    wrong, unknown = post(client, {"text": "too long"}), post(client, {"text": "ok", "admin": True})

    assert (wrong.status_code, unknown.status_code) == (400, 400)
    assert wrong.json() == {
        "success": False,
        "error": {
            "code": "VALIDATION_FAILED",
            "message": "Some fields need to be corrected.",
            "details": {"text": ["Ensure this field has no more than 5 characters."]},
        },
    }
    assert unknown.json()["error"]["details"] == {"admin": ["There is no such field."]}


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "BAD_REQUEST"),
        (b"[1, 2]", "application/json", 400, "VALIDATION_FAILED"),
        (b"text=hi", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_in_the_envelope(client, body, content_type, status, code):
    answer = post(client, body, content_type)

    assert (answer.status_code, answer.json()["success"], answer.json()["error"]["code"]) == (status, False, code)


def test_a_wrong_method_is_refused_in_the_envelope(client):
    answer = client.delete("/notes")

    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")


def test_who_is_not_signed_in_is_asked_to(client):
    answer = client.get("/private")

    assert (answer.status_code, answer.json()) == (
        401,
        {"success": False, "error": {"code": "UNAUTHENTICATED", "message": "Sign in to go on."}},
    )


def test_who_comes_too_often_is_told_when_to_come_back(client):
    answer = client.get("/busy")

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "12")
    assert answer.json()["error"]["details"] == {"retry_after": 12.346}


@pytest.mark.parametrize("lost", ["database", "redis"])
def test_who_comes_while_the_database_or_redis_is_away_may_try_again(client, caplog, lost):
    answer = client.get(f"/without?lost={lost}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert "secret" not in answer.text
    assert "is away" in caplog.text


def test_messages_are_in_the_language_that_was_asked_for(client):
    answer = post(client, {}, headers={"accept-language": "zh-CN,zh;q=0.9"})

    assert answer.json()["error"]["message"] == "有些字段需要更正。"


@pytest.fixture
def five_sessions(db):
    Session.objects.bulk_create(
        Session(session_key=f"s{number}", session_data="", expire_date=timezone.now()) for number in range(5)
    )


def test_a_list_comes_in_pages_and_says_how_many_there_are(client, five_sessions):
    answer = client.get("/sessions?page=2&limit=2")

    assert answer.json() == {
        "success": True,
        "data": [{"session_key": "s2"}, {"session_key": "s3"}],
        "meta": {"page": 2, "limit": 2, "total": 5},
    }


def test_a_page_after_the_last_one_is_empty(client, five_sessions):
    assert client.get("/sessions?page=9").json() == {
        "success": True,
        "data": [],
        "meta": {"page": 9, "limit": 20, "total": 5},
    }


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=２", "page=9999999999", "limit=0", "limit=101"])
def test_a_page_that_cannot_be_is_refused_by_name(client, query):
    answer = client.get(f"/sessions?{query}")

    assert (answer.status_code, list(answer.json()["error"]["details"])) == (400, [query.partition("=")[0]])
