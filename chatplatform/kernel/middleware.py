"""A request id in, the same id out, and on every log line between."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

# A caller's own id is kept if it could not forge a log line.
ACCEPTED_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")


def id_of(request: HttpRequest) -> str:
    """The caller's `X-Request-ID` if it is usable, a new one if not."""
    given = request.headers.get("X-Request-ID", "")
    return given if ACCEPTED_ID.fullmatch(given) else uuid.uuid4().hex


@sync_and_async_middleware
def request_id(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Django middleware, the outermost one."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            structlog.contextvars.clear_contextvars()
            structlog.contextvars.bind_contextvars(request_id=(name := id_of(request)))
            response: HttpResponse = await get_response(request)
            response["X-Request-ID"] = name
            return response

        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=(name := id_of(request)))
        response: HttpResponse = get_response(request)
        response["X-Request-ID"] = name
        return response

    return answer
