"""What a page of ours may load and run: only what comes from us. The admin's theme needs a little more, and only it
gets it."""

from typing import Any

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase


class PagePolicy(CSPMiddleware):
    """Django middleware: the Content-Security-Policy of every answer."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, *args: Any, **options: Any
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, *args, **options)
        if request.path.startswith("/admin/"):
            parts.replace = {**(parts.replace or {}), "script-src": settings.ADMIN_SCRIPT_SOURCES}
        return parts
