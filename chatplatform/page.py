"""The page at `/`: a small plain client for trying and debugging the server.

It is one template and a few JavaScript modules under `static/chatplatform/`, without a framework or a build. What it
does, it does through the same REST addresses and the same socket as every other client.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

from chatplatform.kernel.api import error_body
from chatplatform.kernel.errors import MethodNotAllowed

READING = ("GET", "HEAD")


@csrf_exempt  # nothing is changed here, and another method earns its own answer instead of one about cookies
def page(request: HttpRequest) -> HttpResponse:
    """`GET /`. Any other method answers 405 in the envelope."""
    if request.method not in READING:
        return JsonResponse(error_body(MethodNotAllowed()), status=405, headers={"Allow": ", ".join(READING)})
    return render(request, "chatplatform/page.html", {"version": settings.VERSION})
