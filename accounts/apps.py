"""The app's name in the admin, and the one event of Django's that is recorded."""

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in

from chatplatform.kernel.words import words


class AccountsConfig(AppConfig):
    """People and the audit trail."""

    name = "accounts"
    verbose_name = words("People", "用户")

    def ready(self) -> None:
        user_logged_in.connect(entered)


def entered(sender: Any, request: Any, user: Any, **rest: Any) -> None:
    """Somebody signed in with a cookie, through whichever of Django's forms."""
    from accounts import audit, clients  # models, which are not there yet when this module is read

    audit.login_succeeded(user, clients.origin_of(request))
