"""Is this process alive, and can it serve? Two different questions, two addresses."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from redis import Redis

_draining = False


def draining() -> bool:
    """Whether this process has been told to end: it finishes what it began and begins nothing more."""
    return _draining


def leave_rotation() -> None:
    """From now on `/health/ready` says no, so that a proxy sends nobody here any more."""
    global _draining
    _draining = True


def return_to_rotation() -> None:
    """The reverse, for a process that serves again: tests share one."""
    global _draining
    _draining = False


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
    good = all(found.values()) and not draining()
    status = "draining" if draining() else "ready" if good else "unavailable"
    body = {"status": status, "checks": found, "version": settings.VERSION}
    return JsonResponse(body, status=200 if good else 503)


def _answers(check: Callable[[], Any]) -> bool:
    try:
        check()
    except Exception:  # whatever the reason, the answer is no; the log of the component says why
        return False
    return True
