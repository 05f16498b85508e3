"""Server processes as an operator starts them: `manage.py serve`, on a database of their own, ended when left.

`cluster()` prepares a database (and, on PostgreSQL, a Redis database) and starts as many workers on it as asked for.
Whoever wants to watch reads `Worker.log`.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import redis
import websockets

from tests.harness.servers import HOST, free_port
from tests.phone import Phone, RealLine

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "correct horse battery staple"
# Redis databases that nobody has taken; the tests themselves are in the ones below.
REDIS_DATABASES = list(range(8, 16))


@dataclass
class Worker:
    """One server process."""

    name: str
    port: int
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{HOST}:{self.port}/ws/chat"

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """One REST request; the parsed answer, whatever its status."""
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as exc:
            return json.load(exc)

    def register(self) -> dict[str, Any]:
        """A new person; what registering answered."""
        body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD, "nickname": "Alice"}
        answer = self.call("POST", "/api/v1/auth/register", body)
        assert answer["success"], answer
        return dict(answer["data"])

    async def phone(self, person: dict[str, Any]) -> Phone:
        """A signed-in socket of a person that `register` made."""
        phone = await self.socket(f"?token={person['access_token']}")
        assert (await phone.next())["type"] == "ready"
        return phone

    async def socket(self, query: str = "") -> Phone:
        """A socket, whoever it belongs to."""
        address = self.ws_url + query
        return Phone(RealLine(await websockets.connect(address, max_size=None, ping_interval=None, proxy=None)))

    def end(self, how: signal.Signals = signal.SIGTERM, *, patience: float = 20) -> int:
        """End the process; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            if how == signal.SIGTERM:
                self.process.send_signal(signal.SIGCONT)
        try:
            return self.process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class Cluster:
    """Workers on one database."""

    def __init__(self, environment: dict[str, str], home: Path) -> None:
        self.environment = environment
        self.home = home
        self.workers: list[Worker] = []

    def manage(self, *arguments: str) -> str:
        """Run a management command on this database; what it printed."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, server: str = "uvicorn", **changes: str) -> Worker:
        """Start one more worker and wait until it answers."""
        port = free_port()
        name = f"{server}-{len(self.workers)}"
        log = self.home / f"{name}.log"
        environment = self.environment | {"PORT": str(port)} | changes
        command = [sys.executable, "manage.py", "serve", "--server", server]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        worker = Worker(name, port, environment, log, process)
        self.workers.append(worker)
        deadline = time.monotonic() + 30
        while True:
            try:
                assert worker.call("GET", "/health")["status"] == "ok"
                return worker
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} did not start:\n{log.read_text()[-3000:]}") from None
                time.sleep(0.1)


@contextmanager
def cluster(workers: int = 1, server: str = "uvicorn", **changes: str) -> Iterator[Cluster]:
    """`workers` processes on a fresh database of the kind that the tests run on. SQLite takes one worker."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chatplatform-")))
        environment = {
            **os.environ,
            "DATA_DIR": str(home / "data"),
            "DATABASE_URL": stack.enter_context(_database(home)),
            "REDIS_URL": stack.enter_context(_redis()),
            "DJANGO_SETTINGS_MODULE": "chatplatform.settings",
            "LOG_LEVEL": "INFO",
            **changes,
        }
        made = Cluster(environment, home)
        made.manage("migrate", "--verbosity=0")
        made.manage("sync_models", "--verbosity=0")
        try:
            for _ in range(workers):
                made.start(server)
            yield made
        finally:
            for worker in made.workers:
                worker.end()


@contextmanager
def _database(home: Path) -> Iterator[str]:
    given = os.environ.get("DATABASE_URL", "")
    if not given:
        yield f"sqlite:///{home / 'server.sqlite3'}"
        return
    name = f"server_{uuid4().hex}"
    with psycopg.connect(given, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(given)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def _redis() -> Iterator[str]:
    given = os.environ.get("REDIS_URL", "")
    if not given:
        yield ""
        return
    database = REDIS_DATABASES.pop()
    address = urlsplit(given)._replace(path=f"/{database}").geturl()
    try:
        yield address
    finally:
        with redis.Redis.from_url(address) as client:
            client.flushdb()
        REDIS_DATABASES.append(database)
