"""Log lines: JSON in production, readable at a desk, with the request's id and without anything shaped like a key."""

import logging
import re
from typing import Any

import structlog

# What looks like a credential, wherever it stands: vendors' and our own keys, bearer tokens, JWTs, and query
# parameters that carry one.
CREDENTIALS = re.compile(
    r"""(?x)
      \b(?:sk|cp|pk|rk|gsk|xai)-[A-Za-z0-9_\-]{8,}
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+
    | (?<=[Bb]earer\ )[^\s"',]{8,}
    | (?<=[?&]token=)[^&\s"']+ | (?<=[?&]ticket=)[^&\s"']+ | (?<=[?&]secret=)[^&\s"']+ | (?<=[?&]key=)[^&\s"']+
    """
)


# These write whole addresses or headers at INFO, or a line for every connection.
QUIET = ("httpx2", "httpcore2", "openai", "asyncio", "daphne", "huey", "uvicorn.error")


def redact(text: str) -> str:
    """`text` with everything that looks like a credential blanked."""
    return CREDENTIALS.sub("[redacted]", text)


def _redact_event(_logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {name: redact(value) if isinstance(value, str) else value for name, value in event.items()}


def _redact_line(_logger: Any, _method: str, line: str) -> str:
    """Once more, over the finished line: what stood in a nested value or in a traceback of the console's."""
    return redact(line)


class QuietAccess(logging.Filter):
    """Access lines without their query strings: a token may stand there."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                argument.partition("?")[0] if isinstance(argument, str) and argument.startswith("/") else argument
                for argument in record.args
            )
        return True


def configuration(*, level: str, form: str) -> dict[str, Any]:
    """The `LOGGING` setting: `form` is `json` or `console`."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    after: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if form == "json":
        after.append(structlog.processors.format_exc_info)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"quiet_access": {"()": QuietAccess}},
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": before,
                "processors": [*after, _redact_event, renderer, _redact_line],
            }
        },
        "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["quiet_access"]}},
        "root": {"handlers": ["out"], "level": level},
        "loggers": {
            **{name: {"level": "WARNING"} for name in QUIET},
            "django.request": {"level": "ERROR"},
            # Anybody can send a wrong Host header, and scanners do.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "django.channels.server": {"level": "WARNING"},
        },
    }
