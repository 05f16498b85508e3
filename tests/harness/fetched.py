"""What tests need and no lock of ours installs: a browser, and servers that somebody else wrote."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = Path(__file__).parent
# Vendors to test against, each with a lock and an environment of its own: they pin frameworks that are none of ours.
MOCK, LITELLM = "mock-ai-api", "litellm"

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


def beside(name: str) -> Path:
    """The Python of a package that is installed beside our own; put there now unless its locked version is."""
    environment, lock = ROOT / ".venvs" / name, LOCKS / f"{name}.lock"
    python, stamp = environment / "bin" / "python", environment / "installed.lock"
    environment.parent.mkdir(exist_ok=True)
    with environment.with_suffix(".busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)  # two test processes may ask at once
        if stamp.is_file() and stamp.read_bytes() == lock.read_bytes():
            return python
        say(f"Installing {name}, a vendor to test against, into .venvs/{name} …")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", environment], check=True)
        asked = ["install", "--quiet", "--require-hashes", "--requirement", str(lock)]
        settings = os.environ | {"PIP_USER": "0", "UV_SYSTEM_CERTS": "1"}
        try:
            uv = [sys.executable, "-m", "uv", "pip", *asked, "--python", str(python)]
            subprocess.run(uv, check=True, env=settings)
        except subprocess.CalledProcessError:
            pip = [sys.executable, "-m", "pip", "--python", str(python), *asked]
            subprocess.run(pip, check=True, env=settings)
        shutil.copyfile(lock, stamp)
    return python
