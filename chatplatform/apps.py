"""The project as an app: it makes the table of periodic jobs known, whichever process runs them."""

from importlib import import_module

from django.apps import AppConfig


class ChatplatformConfig(AppConfig):
    """The roof."""

    name = "chatplatform"

    def ready(self) -> None:
        import_module("chatplatform.jobs")
