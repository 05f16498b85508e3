"""The app."""

from django.apps import AppConfig

from chatplatform.kernel.words import words


class ProvidersConfig(AppConfig):
    name = "providers"
    verbose_name = words("Models", "模型")
