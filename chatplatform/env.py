"""Reading the environment: quiet about absence, loud about mistakes.

A missing value takes its development default; a malformed one stops start-up with its name. A secret may come from
the file that `NAME_FILE` names, as container secrets do. Every name read is remembered in `NAMES_READ`, so that a test
can hold `.env.example` to the truth.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from chatplatform.kernel.secret import Secret

NAMES_READ: set[str] = set()

_environ = environ.Env()


def load_file(path: Path) -> None:
    """Read `NAME=value` lines from `path` into the environment; what is already set stays. No file is fine."""
    if path.is_file():
        environ.Env.read_env(str(path))


def _first(names: tuple[str, ...]) -> tuple[str, str] | None:
    """The first of `names` that is set and not blank, with its value."""
    NAMES_READ.update(names)
    for name in names:
        if value := os.environ.get(name, "").strip():
            return name, value
    return None


def text(*names: str, default: str = "", choices: tuple[str, ...] = ()) -> str:
    """The value of the first name that is set; `choices`, when given, are the only values allowed."""
    found = _first(names)
    if found is None:
        return default
    name, value = found
    if choices and value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}; it is {value!r}.")
    return value


def number(name: str, *, default: int, least: int = 0, most: int | None = None) -> int:
    """A whole number between `least` and `most`."""
    found = _first((name,))
    if found is None:
        return default
    try:
        value = int(found[1])
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number; it is {found[1]!r}.") from None
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ImproperlyConfigured(f"{name} must be {bounds}; it is {value}.")
    return value


def flag(name: str, *, default: bool) -> bool:
    """`1/true/yes/on` or `0/false/no/off`."""
    found = _first((name,))
    if found is None:
        return default
    value = found[1].lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0; it is {found[1]!r}.")


def several(name: str, *, default: tuple[str, ...] = ()) -> list[str]:
    """Comma-separated values, blanks left out."""
    found = _first((name,))
    return [item.strip() for item in found[1].split(",") if item.strip()] if found else list(default)


def address(*names: str, schemes: tuple[str, ...] = ("http", "https")) -> str:
    """A URL with one of `schemes` and a host, without a trailing slash; empty when unset."""
    found = _first(names)
    if found is None:
        return ""
    name, value = found
    scheme, mark, rest = value.partition("://")
    if scheme not in schemes or not mark or not rest.split("/")[0]:
        raise ImproperlyConfigured(
            f"{name} must be an address beginning with {' or '.join(s + '://' for s in schemes)}."
        )
    return value.rstrip("/")


def secret(*names: str) -> Secret | None:
    """A secret from `NAME` or from the file that `NAME_FILE` names; None when neither is set."""
    if found := _first(names):
        return Secret(found[1])
    files = tuple(f"{name}_FILE" for name in names)
    if found := _first(files):
        name, path = found
        try:
            return Secret(Path(path).read_text(encoding="utf-8").strip())
        except OSError as exc:
            raise ImproperlyConfigured(f"{name} names a file that cannot be read: {exc.strerror}.") from None
    return None


def database(name: str, *, default: str) -> dict[str, object]:
    """Django's database settings from a URL: `sqlite:///…` or `postgres://…`."""
    found = _first((name,))
    try:
        parsed = dict(environ.Env.db_url_config(found[1] if found else default))
    except Exception as exc:  # the library raises several kinds, none of them naming the variable
        raise ImproperlyConfigured(f"{name} cannot be understood as a database address: {exc}") from None
    if not str(parsed.get("ENGINE", "")).endswith(("sqlite3", "postgresql")):
        raise ImproperlyConfigured(f"{name} must begin with sqlite:/// or postgres://.")
    return parsed


def development_secret(folder: Path, name: str, make: Callable[[], str] = secrets.token_urlsafe) -> Secret:
    """A random secret kept in `folder/name`, made at the first start: development needs one that lasts.

    The file is created exclusively, so that two processes starting together agree on one value.
    """
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(make())
    return Secret(path.read_text(encoding="utf-8").strip())
