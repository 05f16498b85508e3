"""How a request or a socket finds its way in: HTTP to Django, a socket through the origin check to `routing.py`."""

import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatplatform.settings")
django_application = get_asgi_application()

# The apps are loaded now, so what follows may import their models.
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from chatplatform import lifetime  # noqa: E402
from chatplatform.origins import OriginCheck  # noqa: E402
from chatplatform.routing import websocket_urlpatterns  # noqa: E402

_protocols = ProtocolTypeRouter(
    {"http": django_application, "websocket": OriginCheck(URLRouter(websocket_urlpatterns))}
)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The ASGI application."""
    lifetime.begin()
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await _protocols(scope, receive, send)


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
