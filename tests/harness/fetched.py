"""What tests need and no lock of ours installs: a browser, and a mock vendor that somebody else wrote."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MOCK_LOCK = Path(__file__).with_name("mock-ai-api.lock")
# An environment of its own: it pins a web framework that is none of ours.
MOCK_PYTHON = ROOT / ".venvs" / "mock-ai-api" / "bin" / "python"

HOW_TO_GET_CHROMIUM = (
    "There is no Chromium on this machine. Install it (Debian, Ubuntu: sudo apt-get install chromium) "
    "or name one: CHROMIUM=/path/to/chromium"
)


def say(text: str) -> None:
    """A progress line."""
    print(text, file=sys.stderr, flush=True)


def chromium() -> str | None:
    """The path of a Chromium: `CHROMIUM`, or the one that is installed."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def install_chromium() -> None:
    """Have a Chromium, if that is in our power; without one the browser tests fail and say how to get it."""
    if chromium() or os.getuid() != 0 or not shutil.which("apt-get"):
        return
    say("Installing Chromium for the browser tests (apt-get, a minute or two) …")
    quietly = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
    install = ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", "chromium"]
    for command in (["apt-get", "update", "-qq"], install):
        if subprocess.run(command, stdin=subprocess.DEVNULL, check=False, **quietly).returncode:  # type: ignore[call-overload]
            say(f"{' '.join(command)} failed.")


def install_mock_ai_api() -> None:
    """Install mock-ai-api beside our own packages, unless the locked version is there already."""
    environment = MOCK_PYTHON.parent.parent
    stamp = environment / "installed.lock"
    environment.parent.mkdir(exist_ok=True)
    with environment.with_suffix(".busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)  # two test processes may ask at once
        if stamp.is_file() and stamp.read_bytes() == MOCK_LOCK.read_bytes():
            return
        say("Installing mock-ai-api, a vendor to test against, into .venvs/mock-ai-api …")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", environment], check=True)
        python, lock = str(MOCK_PYTHON), str(MOCK_LOCK)
        asked = ["install", "--quiet", "--require-hashes", "--requirement", lock]
        settings = os.environ | {"PIP_USER": "0", "UV_SYSTEM_CERTS": "1"}
        try:
            subprocess.run([sys.executable, "-m", "uv", "pip", *asked, "--python", python], check=True, env=settings)
        except subprocess.CalledProcessError:
            subprocess.run([sys.executable, "-m", "pip", "--python", python, *asked], check=True, env=settings)
        shutil.copyfile(MOCK_LOCK, stamp)
