"""Settings are quiet about what is missing and loud about what is wrong."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = dict(
    re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
)
# Enough for a production start; the test's own, of zeros.
PRODUCTION = {"PRODUCTION": "1", "SECRET_KEY": "0" * 48, "KEYVAULT_KEKS": f"k1:{'A' * 43}="}


@pytest.fixture
def start(tmp_path):
    """`start(command, NAME=value)`: run Python here without `.env` and with nothing else in the environment."""

    def run(*command, **environment):
        # A variable that is set to nothing counts as missing, and a `.env` file of the developer's cannot set it then.
        blank = dict.fromkeys(EXAMPLE, "") | {"DATA_DIR": str(tmp_path)}
        return subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]} | blank | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def check(start):
    """`check(NAME=value)`: does the server accept these settings?"""
    return lambda **environment: start("manage.py", "check", **environment)


def names_read(start, **environment):
    script = (
        "import json, chatplatform.settings; from chatplatform import env; print(json.dumps(sorted(env.NAMES_READ)))"
    )
    names = set(json.loads(start("-c", script, **environment).stdout))
    return {name for name in names if name.removesuffix("_FILE") == name or name.removesuffix("_FILE") not in names}


def test_the_example_describes_every_variable_that_is_read_and_no_other(start):
    assert set(EXAMPLE) == names_read(start) | names_read(start, **PRODUCTION)


def test_nothing_has_to_be_set(check):
    assert check().returncode == 0


def test_the_example_can_be_used_as_it_stands(check, tmp_path):
    answer = check(**EXAMPLE | {"DATA_DIR": str(tmp_path)})

    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("PRODUCTION", "maybe"),
        ("LOG_LEVEL", "LOUD"),
        ("PUBLIC_URL", "chat.example.com"),
        ("OPENAI_BASE_URL", "ftp://example.com"),
        ("REDIS_URL", "http://localhost"),
        ("DATABASE_URL", "mysql://localhost/chat"),
        ("DATABASE_URL", "nonsense"),
        ("SECRET_KEY_FILE", "/nowhere/at/all"),
        ("KEYVAULT_KEKS", "k1:too-short"),
        ("KEYVAULT_PRIMARY", "k9"),
    ],
)
def test_a_value_that_cannot_be_right_stops_the_start_and_is_named(check, name, value):
    answer = check(**{name: value})

    assert answer.returncode != 0
    assert f"ImproperlyConfigured: {name}" in answer.stderr


@pytest.mark.parametrize("name", ["SECRET_KEY", "KEYVAULT_KEKS"])
def test_production_refuses_to_start_without_its_secrets(check, name):
    answer = check(**PRODUCTION | {name: ""})

    assert answer.returncode != 0
    assert f"PRODUCTION=1 needs {name}" in answer.stderr


def test_production_starts_with_them(check):
    answer = check(**PRODUCTION)

    assert answer.returncode == 0, answer.stderr


def test_a_secret_can_come_from_a_file(start, tmp_path):
    (tmp_path / "secret").write_text("from a file, and long enough for anybody\n", encoding="utf-8")

    answer = start(
        "-c", "import chatplatform.settings as s; print(s.SECRET_KEY)", SECRET_KEY_FILE=str(tmp_path / "secret")
    )

    assert answer.stdout == "from a file, and long enough for anybody\n"


def test_a_development_secret_is_made_once_and_kept_for_its_owner_alone(start, tmp_path):
    script = "import chatplatform.settings as s; print(s.SECRET_KEY)"

    first, second = start("-c", script), start("-c", script)

    assert len(first.stdout.strip()) >= 32
    assert first.stdout == second.stdout
    assert (tmp_path / "secrets" / "secret-key").stat().st_mode & 0o777 == 0o600
