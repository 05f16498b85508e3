"""What a container does before it becomes its process, as a script that is really run."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
ENTRYPOINT = ROOT / "docker" / "entrypoint.sh"
PATIENCE = 30
# Says who it is and with what it was called, and leaves in a way of its own when it is told to stop.
PROCESS = """
import json, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(json.dumps({"pid": os.getpid(), "arguments": sys.argv[1:]}), flush=True)
signal.pause()
"""
SAY = [sys.executable, "-c", "print('it runs')"]


class Database:
    """A database that is not there until `create()`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "database"
        self.name = f"entrypoint_{uuid4().hex}"
        self.server = os.environ["DATABASE_URL"]
        self.postgres = connection.vendor == "postgresql"
        if self.postgres:
            self.url = urlsplit(self.server)._replace(path=f"/{self.name}").geturl()
        else:
            self.url = f"sqlite:///{self.folder}/{self.name}"

    def create(self) -> None:
        if self.postgres:
            self._execute(f"CREATE DATABASE {self.name}")
        else:
            self.folder.mkdir()

    def drop(self) -> None:
        if self.postgres:
            self._execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")

    def ask(self, question: str) -> list[tuple[object, ...]]:
        if self.postgres:
            with psycopg.connect(self.url) as there:
                return there.execute(question.encode()).fetchall()
        with closing(sqlite3.connect(self.folder / self.name)) as file:
            return file.execute(question).fetchall()

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.server, autocommit=True) as server:
            server.execute(statement.encode())


@pytest.fixture
def database(tmp_path) -> Iterator[Database]:
    database = Database(tmp_path)
    yield database
    database.drop()


@pytest.fixture
def enter(database, tmp_path):
    """`enter(*command, NAME=value)`: start the script with a command. What still runs at the end is ended."""
    started = []

    def enter(*command, **environment):
        given = {
            "DJANGO_SETTINGS_MODULE": "chatplatform.settings",
            "DATABASE_URL": database.url,
            "DATA_DIR": str(tmp_path / "data"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        process = subprocess.Popen(
            [ENTRYPOINT, *command],
            cwd=ROOT,
            env=os.environ | given | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield enter
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_the_script_is_valid_for_a_plain_shell():
    assert subprocess.run(["sh", "-n", ENTRYPOINT], check=False).returncode == 0


def test_it_waits_until_the_database_answers(enter, database):
    process = enter(*SAY)
    assert process.stderr.readline().startswith("Waiting for the database: ")

    database.create()

    out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, "it runs\n")


def test_it_gives_up_in_time_and_says_why(enter, database):
    process = enter(*SAY, DATABASE_WAIT_SECONDS="1")

    out, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1
    assert out == ""
    assert "The database did not accept a connection within 1 s (DATABASE_URL): " in err
    assert ("does not exist" if database.postgres else "unable to open database file") in err
    assert (urlsplit(database.url).password or "a password") not in err


def test_a_stop_is_heard_while_it_waits(enter):
    process = enter(*SAY)
    assert process.stderr.readline().startswith("Waiting for the database: ")

    process.terminate()

    out, _ = process.communicate(timeout=5)
    assert (process.returncode, out) == (143, "")


@pytest.mark.slow
def test_it_migrates_and_fills_the_catalogue_when_told_to(enter, database):
    database.create()

    process = enter(*SAY, MIGRATE="1")

    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert out.splitlines()[-1] == "it runs"
    assert ("scripted",) in database.ask("SELECT DISTINCT provider FROM models")


@pytest.mark.slow
def test_a_preparation_that_fails_keeps_the_command_from_running(enter, database):
    database.create()

    process = enter(*SAY, MIGRATE="1", EXTRA_MODELS="nobody/nothing")

    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "it runs" not in out
    assert "EXTRA_MODELS" in err


def test_it_becomes_the_command_with_its_arguments_as_they_are(enter, database):
    database.create()
    arguments = ["two words", "$HOME", "*", "", "quo'te"]

    process = enter(sys.executable, "-c", PROCESS, *arguments)

    assert json.loads(process.stdout.readline()) == {"pid": process.pid, "arguments": arguments}
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 7
    tables = "information_schema.tables WHERE table_schema = 'public'" if database.postgres else "sqlite_master"
    assert database.ask(f"SELECT * FROM {tables}") == [], "nobody asked for a migration"  # noqa: S608
