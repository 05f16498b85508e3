"""`manage.py quickstart`: from an empty folder to a running chat, with nothing to fill in. `make run` calls it."""

import secrets
import socket
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from chatplatform.kernel.tasks import consume_inside
from chatplatform.management.commands.serve import run_daphne
from providers import catalogue

OPERATOR = "operator@example.com"


class Command(BaseCommand):
    help = "Prepare the database, make an operator at the first start, and serve with background jobs inside."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("quickstart is for development. In production use migrate, sync_models and serve.")
        self._refuse_a_taken_port()
        began = time.monotonic()
        self.stdout.write("Preparing the database …")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("sync_models", verbosity=0)
        password = self._operator()
        self._say_where(password)
        self.stdout.write(f"Ready after {time.monotonic() - began:.1f} s. Stop with Ctrl-C.")
        self.stdout.flush()
        jobs = consume_inside()
        try:
            run_daphne(settings.HOST, settings.PORT)
        finally:
            jobs.stop(graceful=True)

    def _refuse_a_taken_port(self) -> None:
        family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.HOST, settings.PORT))
            except OSError as exc:
                raise CommandError(
                    f"{settings.HOST}:{settings.PORT} cannot be opened ({exc.strerror}). Choose another port: PORT=8001"
                ) from None

    def _operator(self) -> str | None:
        """A password, if this is the first start; None if there is an operator."""
        if User.objects.filter(is_superuser=True).exists():
            return None
        password = secrets.token_urlsafe(12)
        User.objects.create_superuser(email=OPERATOR, password=password, nickname="Operator")
        return password

    def _say_where(self, password: str | None) -> None:
        operator = User.objects.filter(is_superuser=True).order_by("created_at").first()
        model = catalogue.default_model(operator) if operator else None
        email = operator.email if operator else OPERATOR
        sign_in = (
            f"{OPERATOR} / {password}   (shown this once; change it in the admin)"
            if password
            else f"{email}   (a new password: .venv/bin/python manage.py changepassword)"
        )
        lines = {
            "Chat": f"{settings.PUBLIC_URL}/",
            "Admin": f"{settings.PUBLIC_URL}/admin/",
            "API": f"{settings.PUBLIC_URL}/api/v1/docs",
            "Health": f"{settings.PUBLIC_URL}/health",
            "Operator": sign_in,
            "Default model": model.qualified_name if model else "none",
            "Database": str(settings.DATABASES["default"]["ENGINE"]).rsplit(".", 1)[-1],
            "Live delivery": "Redis" if settings.REDIS_URL else "this process alone",
        }
        self.stdout.write("")
        for name, value in lines.items():
            self.stdout.write(f"  {name:<14} {value}")
        self.stdout.write("")
