"""Is this process alive, and can it serve? Two different questions, two addresses."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from redis import Redis


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _redis() -> None:
    with Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as redis:
        redis.ping()


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """`GET /health`: the process answers. A supervisor restarts it when it does not."""
    return JsonResponse({"status": "ok", "version": settings.VERSION})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """`GET /health/ready`: what it needs answers too. 503 takes it out of rotation without a restart."""
    checks: dict[str, Callable[[], Any]] = {"database": _database}
    if settings.REDIS_URL:
        checks["redis"] = _redis
    found = {name: _answers(check) for name, check in checks.items()}
    good = all(found.values())
    body = {"status": "ready" if good else "unavailable", "checks": found, "version": settings.VERSION}
    return JsonResponse(body, status=200 if good else 503)


def _answers(check: Callable[[], Any]) -> bool:
    try:
        check()
    except Exception:  # whatever the reason, the answer is no; the log of the component says why
        return False
    return True
