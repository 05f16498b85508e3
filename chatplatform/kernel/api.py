"""REST, as every one of our endpoints speaks it: the envelope, the errors in it, and paging.

`{"success": true, "data": …, "meta": {page, limit, total}?}` or
`{"success": false, "error": {code, message, details?}}`, on every answer under `/api/v1`.
"""

import logging
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, cast

import orjson
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError
from rest_framework import exceptions, serializers
from rest_framework.pagination import BasePagination
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from chatplatform.kernel import errors
from chatplatform.kernel.words import words

if TYPE_CHECKING:
    from rest_framework.views import APIView

log = logging.getLogger(__name__)


class JSONBody(BaseParser):
    """A JSON body of reasonable size. Refuses what the usual parser lets through or stumbles over: endless nesting,
    numbers that are none, halves of characters.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(most + 1)
        if len(body) > most:
            raise errors.TooLarge(limit=most)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise exceptions.ParseError from None


class EnvelopeRenderer(BaseRenderer):
    """JSON in the envelope. An error arrives here enveloped already, by `render_error`."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        response = (renderer_context or {}).get("response")
        if response is None or not response.exception:
            meta = getattr(response, "meta", None)
            data = {"success": True, "data": data} | ({"meta": meta} if meta else {})
        # The browsable API asks for lines that a person can read.
        indent = orjson.OPT_INDENT_2 if (renderer_context or {}).get("indent") else 0
        return orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z | indent)


def error_body(error: errors.AppError) -> dict[str, Any]:
    """The envelope of an error."""
    return {"success": False, "error": error.as_dict()}


# DRF's own exceptions, in our words. What is not here and is no AppError is a defect and becomes a 500.
TRANSLATED: tuple[tuple[type[Exception], type[errors.AppError]], ...] = (
    (exceptions.NotAuthenticated, errors.Unauthenticated),
    (exceptions.AuthenticationFailed, errors.Unauthenticated),
    (exceptions.PermissionDenied, errors.Forbidden),
    (PermissionDenied, errors.Forbidden),
    (exceptions.NotFound, errors.NotFound),
    (Http404, errors.NotFound),
    (exceptions.MethodNotAllowed, errors.MethodNotAllowed),
    (exceptions.NotAcceptable, errors.UnsupportedMedia),
    (exceptions.UnsupportedMediaType, errors.UnsupportedMedia),
    (exceptions.ParseError, errors.BadRequest),
)


# A server of ours that does not answer. The client may try again; the log has the reason.
AWAY = (OperationalError, InterfaceError, RedisError)


def translated(exc: Exception) -> errors.AppError | None:
    """`exc` as one of our errors, or None if it is nobody's fault but ours."""
    if isinstance(exc, errors.AppError):
        return exc
    if isinstance(exc, exceptions.AuthenticationFailed) and isinstance(exc.__cause__, errors.AppError):
        return exc.__cause__
    if isinstance(exc, exceptions.ValidationError):
        detail = exc.detail if isinstance(exc.detail, dict) else {"non_field_errors": exc.detail}
        return errors.ValidationFailed(cast("dict[str, Any]", detail))
    if isinstance(exc, exceptions.Throttled):
        return errors.RateLimited(retry_after=getattr(exc, "wait", None))
    if isinstance(exc, AWAY):
        log.error("the database or Redis is away", exc_info=exc)
        return errors.Unavailable()
    return next((ours() for theirs, ours in TRANSLATED if isinstance(exc, theirs)), None)


def render_error(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. None hands the exception on to Django, which logs it and answers 500."""
    from rest_framework.views import set_rollback  # here, because that module reads this one while it is imported

    error = translated(exc)
    if error is None:
        return None
    set_rollback()
    response = Response(error_body(error), status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(max(1, round(error.retry_after)))
    return response


def _plain_error(error: errors.AppError) -> JsonResponse:
    return JsonResponse(error_body(error), status=error.status, json_dumps_params={"ensure_ascii": False})


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler404: also an address that leads nowhere answers in the envelope."""
    return _plain_error(errors.NotFound())


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler400."""
    return _plain_error(errors.BadRequest())


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler403."""
    return _plain_error(errors.Forbidden())


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: a fixed sentence, never the exception's."""
    return _plain_error(errors.AppError())


class StrictSerializer(serializers.Serializer[Any]):
    """Input that refuses fields it does not know: a misspelt or smuggled field is an error, not a silence."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                problem = words("There is no such field.", "没有这个字段。")
                raise serializers.ValidationError({name: [str(problem)] for name in unknown})
        return super().to_internal_value(data)

    @classmethod
    def read(cls, request: Request, **options: Any) -> dict[str, Any]:
        """The validated body of `request`, or ValidationError."""
        serializer = cls(data=request.data, **options)
        serializer.is_valid(raise_exception=True)
        return cast("dict[str, Any]", serializer.validated_data)


def whole_number(request: Request, name: str, *, default: int, most: int) -> int:
    """A query parameter between 1 and `most`; ValidationFailed names it otherwise."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        problem = words(f"A whole number from 1 to {most}.", f"请填写 1 到 {most} 的整数。")
        raise errors.ValidationFailed({name: [str(problem)]})
    return int(text)


def flag(request: Request, name: str, *, default: bool) -> bool:
    """A query parameter that is `true` or `false`; ValidationFailed names it otherwise."""
    text = request.query_params.get(name, "true" if default else "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise errors.ValidationFailed({name: [str(words("true or false.", "请填写 true 或 false。"))]})
    return text in ("true", "1")


class PageLimitPagination(BasePagination):
    """`?page=1&limit=20`, with `meta {page, limit, total}` beside the data."""

    default_limit, most_per_page, last_page = 20, 100, 10_000

    def paginate_queryset(self, queryset: Any, request: Request, view: "APIView | None" = None) -> list[Any]:
        self.page = whole_number(request, "page", default=1, most=self.last_page)
        self.limit = whole_number(request, "limit", default=self.default_limit, most=self.most_per_page)
        self.total = queryset.count()
        start = (self.page - 1) * self.limit
        return list(queryset[start : start + self.limit])

    def get_paginated_response(self, data: Any) -> Response:
        response = Response(data)
        response.meta = {"page": self.page, "limit": self.limit, "total": self.total}  # type: ignore[attr-defined]
        return response

    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:
        return [
            {"name": name, "in": "query", "required": False, "schema": {"type": "integer", "minimum": 1, "default": d}}
            for name, d in (("page", 1), ("limit", self.default_limit))
        ]
