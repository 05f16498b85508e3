"""Look for mistakes without serving anything: `python -m tests.harness.checks [name …]`, which is `make check`.

Every check runs, or those whose names begin with the given ones, also after one has failed. What a failing one says is
shown, a good one is a single line.
"""

import base64
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.harness.fetched import ROOT

PYTHON = sys.executable
MANAGE = [PYTHON, "manage.py"]
# The settings of a server behind a proxy, with secrets that are thrown away.
PRODUCTION = {
    "PRODUCTION": "1",
    "SECRET_KEY": secrets.token_urlsafe(48),
    "KEYVAULT_KEKS": f"check:{base64.b64encode(secrets.token_bytes(32)).decode()}",
    "PUBLIC_URL": "https://chat.example.com",
    "ALLOWED_HOSTS": "chat.example.com",
    "TRUSTED_PROXIES": "1",
    "SSL_REDIRECT": "1",
}


@dataclass
class Check:
    """One command that has to end well."""

    name: str
    command: list[str]
    changes: Mapping[str, str] = field(default_factory=dict)


def _scan(files: list[str], *options: str) -> list[str]:
    scanner = [PYTHON, "-m", "detect_secrets.pre_commit_hook", "--plugin", "tests/harness/vendor_keys.py"]
    # Words in small letters are names of things: "password:changed", "secret-key".
    return [*scanner, "--exclude-secrets", r"^[a-z][a-z_:. -]*$", *options, *files]


def secret_scans() -> Iterator[Check]:
    """Every file that is or would be committed.

    Locks are left out, being hashes from end to end. Tests are full of made-up passwords: what only may be a secret is
    not looked for there, what has the shape of one is.
    """
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = [name for name in listed.split("\0") if name and os.path.isfile(name) and not name.endswith(".lock")]
    guesses = ["Base64HighEntropyString", "HexHighEntropyString", "KeywordDetector", "BasicAuthDetector"]
    without_guesses = [option for guess in guesses for option in ("--disable-plugin", guess)]
    yield Check("secrets: product", _scan([name for name in files if not name.startswith("tests/")]))
    yield Check("secrets: tests", _scan([name for name in files if name.startswith("tests/")], *without_guesses))


def all_checks() -> Iterator[Check]:
    """What has to hold, the quick ones first."""
    yield Check("style", [PYTHON, "-m", "ruff", "check", "."])
    yield Check("layout", [PYTHON, "-m", "ruff", "format", "--check", "."])
    yield Check("imports", [PYTHON, "-c", "from importlinter.cli import lint_imports_command as run; run()"])
    yield from secret_scans()
    yield Check("versions", [PYTHON, "-m", "pytest", "-q", "tests/test_versions.py"])
    yield Check("migrations", [*MANAGE, "makemigrations", "--check", "--dry-run"])
    yield Check("deployment", [*MANAGE, "check", "--deploy", "--fail-level", "WARNING"], PRODUCTION)
    yield Check("API schema", [*MANAGE, "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull])
    yield Check("types", [PYTHON, "-m", "mypy"])


def main() -> int:
    """Run them; 1 if one failed."""
    os.chdir(ROOT)
    asked = tuple(sys.argv[1:]) or ("",)
    failed = []
    with tempfile.TemporaryDirectory(prefix="chatplatform-") as folder:
        for check in (each for each in all_checks() if each.name.startswith(asked)):
            print(f"{check.name} …", end=" ", flush=True)
            began = time.monotonic()
            environment = {**os.environ, "DATA_DIR": folder, **check.changes}
            ran = subprocess.run(
                check.command, env=environment, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            print(f"{'FAILED' if ran.returncode else 'good'} ({time.monotonic() - began:.1f} s)", flush=True)
            if ran.returncode:
                failed.append(check.name)
                print(ran.stdout, flush=True)
    print(f"Failed: {', '.join(failed)}" if failed else "Everything is in order.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
