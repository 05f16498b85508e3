"""The websocket map: one line per socket."""

from django.urls import path

from conversations.realtime.consumer import ChatConsumer

websocket_urlpatterns = [
    path("ws/chat", ChatConsumer.as_asgi()),
]
