"""What gets installed: pinned, hashed, from wherever a person's index is, and not older than it may be.

An advisory service cannot be asked offline, and one that does not answer looks like a clean bill. These floors can.
"""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
LOCKS = [*ROOT.glob("requirements*.lock"), *(ROOT / "tests" / "harness").glob("*.lock")]

# Package, the lowest version that may run here, and what an older one lets happen.
FLOORS = [
    ("django", "5.2.14", "CVE-2026-33034, CVE-2026-5766: a body without Content-Length passes every size limit"),
    ("djangorestframework", "3.17.2", "CVE-2026-73228: a JSON body passes Django's size limit"),
    ("daphne", "4.2.2", "CVE-2026-44546: a client forges headers of its socket's handshake"),
    ("pyjwt", "2.15.1", "CVE-2026-32597, CVE-2026-48523: tokens with critical headers nobody understood are accepted"),
    ("redis", "4.5.5", "CVE-2023-28858: a cancelled command's answer goes to whoever asks next"),
    ("openai", "3.40", "2.x rides on httpx, and our guarded transport would be passed by"),
    ("channels-redis", "4.3", "the publish/subscribe layer reconnects by itself"),
]


def locked(path):
    """Names and versions of a lock."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9.-]*)==([^\s;]+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def wanted(name):
    """The requirements that stand in a file, extras and comments aside."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


@pytest.mark.parametrize(("package", "floor", "reason"), FLOORS, ids=[floor[0] for floor in FLOORS])
def test_no_version_with_a_known_hole_is_locked_or_running(package, floor, reason):
    for found in (locked(ROOT / "requirements.lock")[package], version(package)):
        assert Version(found) >= Version(floor), reason


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_a_lock_holds_what_its_requirements_ask_for(name):
    pins = locked(ROOT / f"{name}.lock")

    unmet = [str(each) for each in wanted(f"{name}.txt") if pins.get(each.name.lower(), "0") not in each.specifier]

    assert unmet == []


def test_tests_run_with_the_very_versions_that_serve():
    runtime, development = locked(ROOT / "requirements.lock"), locked(ROOT / "requirements-dev.lock")

    assert {name: development.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("lock", LOCKS, ids=[lock.name for lock in LOCKS])
def test_a_lock_names_a_hash_for_every_package_and_no_place_to_get_it_from(lock):
    text = lock.read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text)

    assert [entry.partition(" ")[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert "--index" not in text
