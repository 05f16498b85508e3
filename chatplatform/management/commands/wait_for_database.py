"""`manage.py wait_for_database`: what a container does first, because databases take longer to start than we do."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.utils import OperationalError

# How long one attempt may take, for an address from which nothing comes back.
ATTEMPT_SECONDS = 5


class Command(BaseCommand):
    help = "Return when the database accepts connections; fail, with its last words, when it does not in time."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=60)

    def handle(self, *args: Any, seconds: float, **options: Any) -> None:
        deadline = time.monotonic() + seconds
        said = ""
        while reason := refusal():
            if time.monotonic() >= deadline:
                raise CommandError(
                    f"The database did not accept a connection within {seconds:g} s (DATABASE_URL): {reason}"
                )
            if reason != said:
                self.stderr.write(f"Waiting for the database: {reason}")
                said = reason
            time.sleep(0.5)


def refusal() -> str:
    """Why a connection is refused at this moment; empty when it is not."""
    # A connection of its own: the pool tries by itself, for ten seconds, and then only says that it had no luck.
    attempt = connection.copy()
    attempt.settings_dict["OPTIONS"].pop("pool", None)
    if attempt.vendor == "postgresql":
        attempt.settings_dict["OPTIONS"]["connect_timeout"] = ATTEMPT_SECONDS
    try:
        attempt.ensure_connection()
    except OperationalError as exc:
        return " ".join(str(exc).split())
    finally:
        attempt.close()
    return ""
