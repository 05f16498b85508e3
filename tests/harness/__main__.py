"""Run the tests: `python -m tests.harness [--only sqlite|postgres] [pytest's own arguments]`.

1. Fetch what the tests need (a browser, a mock vendor), for a run of everything.
2. Run pytest on SQLite and the in-memory backends. Tests marked `workers` are left out: they need several processes.
3. Run pytest on PostgreSQL and Redis, everything. `DATABASE_URL` and `REDIS_URL` are used when set, and whatever is in
   that Redis database is deleted; otherwise both servers are started for the run.
4. Add up coverage and results. The last line is always `N passed, N failed`.

`python -m tests.harness --servers` starts the two servers alone and keeps them until Ctrl-C.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.harness import fetched
from tests.harness.servers import postgres, redis_server

PASSED, FAILED, NOTHING_COLLECTED = 0, 1, 5


@dataclass
class Outcome:
    """What one stage came to."""

    stage: str
    passed: int
    failed: int
    skipped: int
    seconds: float


@contextmanager
def backends() -> Iterator[dict[str, str]]:
    """`DATABASE_URL` and `REDIS_URL`: those of the environment, or of servers started here."""
    with ExitStack() as stack:
        yield {
            "DATABASE_URL": os.environ.get("DATABASE_URL") or stack.enter_context(postgres()),
            "REDIS_URL": os.environ.get("REDIS_URL") or stack.enter_context(redis_server()),
        }


def run(command: list[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end; when we are told to stop, it is given time to clean up after itself."""
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    except BaseException as exc:
        if not isinstance(exc, KeyboardInterrupt):  # the terminal sends Ctrl-C to both of us
            process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def pytest(stage: str, arguments: list[str], changes: Mapping[str, str]) -> Outcome:
    """One run of pytest in an environment with `changes`."""
    fetched.say(f"\n── {stage} ──")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chatplatform-") as folder:
        report = Path(folder) / "junit.xml"
        inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        code = run([sys.executable, "-m", "pytest", f"--junitxml={report}", *arguments], {**inherited, **changes})
        counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
        if report.is_file():
            for suite in ElementTree.parse(report).getroot().iter("testsuite"):  # noqa: S314  (pytest's own file)
                for name in counts:
                    counts[name] += int(suite.get(name, 0))
    failed = counts["failures"] + counts["errors"]
    if not failed and code not in (PASSED, NOTHING_COLLECTED):
        failed = 1  # pytest itself could not go on
    passed = max(0, counts["tests"] - failed - counts["skipped"])
    return Outcome(stage, passed, failed, counts["skipped"], time.monotonic() - began)


def coverage() -> bool:
    """Add up what all processes of all stages covered; False if it is less than we promise."""
    command = [sys.executable, "-m", "coverage"]
    subprocess.run([*command, "combine", "--quiet"], check=True)
    report = subprocess.run([*command, "report"], check=False, capture_output=True, text=True)
    lines = report.stdout.strip().splitlines()
    total = next((line for line in lines if line.startswith("TOTAL")), "nothing").split()[-1]
    print(f"\nCoverage of lines and branches: {total} (file by file: .venv/bin/python -m coverage report)")
    if report.returncode:
        print(lines[-1])
    return report.returncode == 0


def test(only: str | None, arguments: list[str]) -> int:
    """Both stages, or the one that `only` names; pytest's arguments narrow it down."""
    whole = not only and not arguments
    if whole:
        fetched.install_chromium()
        fetched.beside(fetched.MOCK)
        subprocess.run([sys.executable, "-m", "coverage", "erase"], check=True)
        arguments = ["--cov", "--cov-report="]
    outcomes: list[Outcome] = []
    if only != "postgres":
        outcomes.append(pytest("SQLite, in memory", arguments, {"COVERAGE_FILE": ".coverage.sqlite"}))
    if only != "sqlite":
        with backends() as addresses:
            changes = addresses | {"COVERAGE_FILE": ".coverage.postgres"}
            outcomes.append(pytest("PostgreSQL, Redis", arguments, changes))
    good = coverage() if whole else True

    print(f"\n{'':24}{'passed':>8}{'failed':>8}{'skipped':>9}{'time':>10}")
    for each in outcomes:
        print(f"{each.stage:24}{each.passed:8}{each.failed:8}{each.skipped:9}{each.seconds:8.1f} s")
    passed, failed = sum(each.passed for each in outcomes), sum(each.failed for each in outcomes)
    print(f"\n{passed} passed, {failed} failed", flush=True)
    return PASSED if good and passed and not failed else FAILED


def keep_servers() -> int:
    """Run the servers until somebody presses Ctrl-C."""
    with backends() as addresses:
        for name, address in addresses.items():
            print(f"export {name}={address}", flush=True)
        fetched.say("Ctrl-C ends them.")
        try:
            signal.pause()
        except KeyboardInterrupt:
            fetched.say("")
    return 0


def stop(number: int, _frame: FrameType | None) -> NoReturn:
    """Leave as if by an exception, so that everything started here is ended."""
    raise SystemExit(128 + number)


def main() -> int:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.harness", usage="%(prog)s [options] [pytest's arguments]")
    parser.add_argument("--servers", action="store_true", help="start PostgreSQL and Redis and keep them until Ctrl-C")
    parser.add_argument("--only", choices=("sqlite", "postgres"), help="run one of the two stages")
    options, arguments = parser.parse_known_args()
    os.chdir(fetched.ROOT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background job begins with it ignored
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        return keep_servers() if options.servers else test(options.only, arguments)
    except KeyboardInterrupt:
        fetched.say("\nStopped.")
        return 130


sys.exit(main())
