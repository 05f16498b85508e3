"""The app, and the system check it brings."""

from importlib import import_module

from django.apps import AppConfig

from chatplatform.kernel.words import words


class KeyvaultConfig(AppConfig):
    """The vault."""

    name = "keyvault"
    verbose_name = words("Keys", "密钥")

    def ready(self) -> None:
        import_module("keyvault.checks")
