"""What `check --deploy` says of the master keys. Starting up checks nothing and opens nothing."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def master_keys_are_not_for_development(app_configs: Sequence[AppConfig] | None, **_options: Any) -> list[CheckMessage]:
    """Keys that a first start made for itself lie beside the database they are meant to protect."""
    if not settings.KEYRING_IS_FOR_DEVELOPMENT:
        return []
    return [
        Error(
            "The vault's master keys are those that development made for itself.",
            hint="Set KEYVAULT_KEKS (or KEYVAULT_KEKS_FILE) to keys of your own: name:base64 of 32 random bytes.",
            id="keyvault.E001",
        )
    ]
