"""Log lines carry what an operator needs and nothing that opens a door."""

import json
import logging
from logging.config import DictConfigurator

import pytest
import structlog

from chatplatform.kernel import logs
from chatplatform.kernel.logs import redact

# Put together here, so that nothing in this file looks like a key of somebody's.
KEY = "sk-" + "Ab1_" * 10
JWT = ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxIn0", "c2lnbmF0dXJl"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"calling with {KEY}", "calling with [redacted]"),
        (f"('{KEY}', 1)", "('[redacted]', 1)"),
        (f"the token {JWT} has expired", "the token [redacted] has expired"),
        ("Authorization: Bearer 0123456789abcdef", "Authorization: Bearer [redacted]"),
        ("GET /ws?token=abc&after=3", "GET /ws?token=[redacted]&after=3"),
        ("GET /ws?after=3&ticket=abc", "GET /ws?after=3&ticket=[redacted]"),
        ("a risk-free task, on the sk-ip list", "a risk-free task, on the sk-ip list"),
        ("模型切换 to deepseek/deepseek-chat", "模型切换 to deepseek/deepseek-chat"),
    ],
)
def test_what_looks_like_a_credential_is_blanked(text, shown):
    assert redact(text) == shown


def line(form, message, *args, exception=None, **extra):
    """What would be written for one call of a logger."""
    configuration = DictConfigurator(logs.configuration(level="INFO", form=form))
    formatter = configuration.configure_formatter(dict(configuration.config["formatters"]["line"]))
    info = (type(exception), exception, exception.__traceback__) if exception else None
    record = logging.getLogger("a.logger").makeRecord(
        "a.logger", logging.WARNING, __file__, 1, message, args, info, extra=extra
    )
    return formatter.format(record)


def test_a_line_in_production_is_one_json_object():
    structlog.contextvars.clear_contextvars()

    written = json.loads(line("json", "reply %s", "ended", user="张三", tokens=12))

    assert written.pop("timestamp")
    assert written == {"event": "reply ended", "level": "warning", "logger": "a.logger", "user": "张三", "tokens": 12}


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "call",
    [
        {"message": "key %s", "args": (KEY,)},
        {"message": "failed", "extra": {"reason": f"refused: {KEY}"}},
        {"message": "failed", "extra": {"headers": {"x-api-key": KEY}}},
        {"message": "failed", "exception": ValueError(f"bad key\n{KEY}")},
    ],
    ids=["message", "extra", "nested", "exception"],
)
def test_no_key_gets_into_a_line_by_any_way(form, call):
    written = line(
        form, call["message"], *call.get("args", ()), exception=call.get("exception"), **call.get("extra", {})
    )

    assert KEY not in written
    assert "[redacted]" in written


def test_access_lines_lose_their_query_strings():
    record = logging.makeLogRecord({"msg": '%s "%s %s" %d', "args": ("127.0.0.1:1", "GET", "/ws?token=abc", 200)})

    assert logs.QuietAccess().filter(record)
    assert record.getMessage() == '127.0.0.1:1 "GET /ws" 200'
