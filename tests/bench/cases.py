"""What is measured, and how.

- The server has a core of its own; vendor, clients, PostgreSQL and Redis have the others. Nothing is compared with a
  run of another day: product and peer take turns, the middle one of several rounds counts, and the figure is a ratio.
- `tokens`: CPU time per streamed token. The product's includes signing in, storing the question, the prompt, the replay
  log, saving while it streams, and the end with its usage; the peer relays.
- `streams`: how many replies of fifty tokens a second one worker holds, none lost and 99 of 100 tokens less than 50 ms
  late. They begin one by one, and for half of their time all of them are there.
- `sockets`: what a silent socket that is signed in weighs, and how many sign in for a second of CPU time.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import nan
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import uvloop

from tests.bench import load, proc
from tests.bench.load import Client, Heard, Idle, Relayed, Talk
from tests.bench.upstream import HOST
from tests.harness.fetched import ROOT, say
from tests.harness.servers import folder, free_port, running
from tests.server import Cluster, cluster

T = TypeVar("T")

# Where this process was allowed to run when it was started.
ALLOWED = os.sched_getaffinity(0)
RATE = 50
LATE_MS = 50.0
PEER = "relay"
SERVERS = ("uvicorn", "daphne")
# Seconds in which the ends of replies are stored, which belongs to them.
SETTLE = 0.5
# As many as a person with several devices has.
SOCKETS_PER_PERSON = 5
# Seconds for which tokens are used again, of the fifteen minutes that they last.
GOOD_FOR = 300
# What a server does only once, it has done before it is measured.
WARM_UP = "burst-n200"


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    rounds: int = 3
    streams: int = 100
    tokens: int = 400
    steps: tuple[int, ...] = (100, 200, 300, 400, 500)
    step_tokens: int = 1000
    sockets: tuple[int, ...] = (1000, 5000)

    @property
    def most_connections(self) -> int:
        return max(*self.steps, *self.sockets, self.streams)


FULL = Scale()
QUICK = Scale(rounds=1, streams=20, tokens=100, steps=(20,), step_tokens=100, sockets=(200,))


@dataclass
class Figure:
    """One line of the result: a value for each server. The goal is the most, or the least, that ours may have, as a
    multiple of the peer's or by itself."""

    case: str
    what: str
    values: dict[str, float]
    goal: float | None = None
    at_least: bool = False
    of_ratio: bool = False

    def ratio(self, server: str) -> float:
        """The server's value in terms of the peer's."""
        peers = self.values.get(PEER)
        return self.values.get(server, nan) / peers if peers else nan

    def reached(self, server: str) -> bool | None:
        """Whether the server reaches the goal; None if there is none."""
        if self.goal is None:
            return None
        value = self.ratio(server) if self.of_ratio else self.values.get(server, nan)
        return value >= self.goal if self.at_least else value <= self.goal


@dataclass
class Server:
    """Something that answers on a port, and the process that does."""

    name: str
    port: int
    pid: int

    def client(self, token: str, model: str, tokens: int) -> Client:
        """Somebody who asks it for a reply; made on the clients' loop."""
        return Relayed(model, tokens) if self.name == PEER else Talk(token, model, tokens)

    def hear(self, people: Sequence[str], model: str, tokens: int, *, ramp: float) -> Heard:
        """Have each of these people ask once, and read what comes."""

        async def all_of_it() -> Heard:
            clients = [self.client(token, model, tokens) for token in people]
            return await load.listen(clients, self.port, ramp=ramp, patience=tokens / RATE + 20)

        return _on_uvloop(all_of_it())


class Site:
    """The vendor and the database of a measurement, the servers that are measured, and what came of it."""

    def __init__(self, scale: Scale, made: Cluster, vendor: str, home: Path, stack: ExitStack) -> None:
        self.scale = scale
        self.figures: list[Figure] = []
        # Every single run, for whoever doubts a figure.
        self.runs: list[dict[str, Any]] = []
        self._cluster = made
        self._vendor = vendor
        self._home = home
        self._stack = stack
        self._servers: dict[str, Server] = {}
        self._people: list[str] = []
        self._people_made_at = 0.0

    def people(self, count: int) -> list[str]:
        """Access tokens of so many people, good for the next minutes."""
        if len(self._people) < count or time.monotonic() > self._people_made_at + GOOD_FOR:
            command = [sys.executable, "-m", "tests.bench.people", str(max(count, self.scale.streams))]
            made = subprocess.run(command, cwd=ROOT, env=self._cluster.environment, stdout=subprocess.PIPE, check=True)
            self._people, self._people_made_at = json.loads(made.stdout), time.monotonic()
        return self._people[:count]

    def servers(self, names: Sequence[str]) -> list[Server]:
        """The servers of these names, started when they are first asked for and kept until everything ends."""
        for name in names:
            if name not in self._servers:
                self._servers[name] = self._stack.enter_context(self.fresh_server(name))
        return [self._servers[name] for name in names]

    @contextmanager
    def fresh_server(self, name: str) -> Iterator[Server]:
        """A server on the server's core that has answered some questions before."""
        with ExitStack() as stack:
            with proc.running_on(cores()[0]):
                server = self._start(name, stack)
            if failures := server.hear(self.people(10), WARM_UP, 200, ramp=0.5).failures:
                raise RuntimeError(f"{server.name} does not answer: {failures[0]}")
            yield server

    def _start(self, name: str, stack: ExitStack) -> Server:
        if name != PEER:
            worker = self._cluster.start(name)
            stack.callback(worker.end)
            return Server(name, worker.port, worker.process.pid)
        port = free_port()
        options = ["--loop=uvloop", "--ws=websockets-sansio", "--no-access-log", "--log-level=warning"]
        command = ["-m", "uvicorn", "tests.bench.relay:application", f"--port={port}", *options]
        process = stack.enter_context(_running(self._home, port, *command, UPSTREAM=self._vendor))
        return Server(name, port, process.pid)

    def note(self, case: str, server: Server, **found: float) -> dict[str, float]:
        """Keep what one run found, and say it."""
        self.runs.append({"case": case, "server": server.name, **found})
        say(f"  {case:<8} {server.name:<8} " + "  ".join(f"{name} {value:.6g}" for name, value in found.items()))
        return found


def cores() -> tuple[set[int], set[int]]:
    """The server's core, and those of everybody else: the same one, if there is no other."""
    first, *others = sorted(ALLOWED)
    return {first}, set(others) or {first}


@contextmanager
def site(scale: Scale) -> Iterator[Site]:
    """A vendor, and a fresh database on the PostgreSQL and Redis of the environment."""
    port = free_port()
    vendor = f"http://{HOST}:{port}/v1"
    models = ",".join(f"custom/{model}" for model in sorted({WARM_UP, paced(scale.tokens), paced(scale.step_tokens)}))
    with (
        proc.running_on(cores()[1]),
        folder() as home,
        _running(home, port, "-m", "tests.bench.upstream", str(port)),
        cluster(0, CUSTOM_BASE_URL=vendor, EXTRA_MODELS=models) as made,
        ExitStack() as stack,
    ):
        yield Site(scale, made, vendor, home, stack)


@contextmanager
def _running(home: Path, port: int, *arguments: str, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program that answers on a port."""

    def answers() -> None:
        socket.create_connection((HOST, port), timeout=2).close()

    command, environment = [sys.executable, *arguments], os.environ | changes
    log = home / f"{port}.log"
    with running(command, log=log, answers=answers, stop=signal.SIGTERM, cwd=ROOT, env=environment) as process:
        yield process


def _on_uvloop(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def paced(tokens: int) -> str:
    """The model that says so many tokens at our rate."""
    return f"paced-n{tokens}-r{RATE}"


# --- The cases ------------------------------------------------------------


def tokens(site: Site, names: Sequence[str]) -> None:
    """What a streamed token costs."""
    scale = site.scale
    costs: dict[str, list[float]] = {name: [] for name in names}
    late: dict[str, list[float]] = {name: [] for name in names}
    lost = dict.fromkeys(names, 0.0)
    people = site.people(scale.streams)
    for _ in range(scale.rounds):
        for server in site.servers(names):
            before = proc.cpu_seconds(server.pid)
            heard = server.hear(people, paced(scale.tokens), scale.tokens, ramp=2.0)
            time.sleep(SETTLE)
            used = proc.cpu_seconds(server.pid) - before
            found = {"us": used / max(heard.tokens, 1) * 1e6, "p50_ms": heard.late(50), "p99_ms": heard.late(99)}
            site.note("tokens", server, **found, lost=heard.lost, failures=len(heard.failures))
            _complain(heard)
            costs[server.name].append(found["us"])
            late[server.name].append(found["p99_ms"])
            lost[server.name] += heard.lost + len(heard.failures)
    under = f"{scale.streams} streams of {RATE} a second"
    site.figures += [
        Figure("tokens", f"CPU per token, µs ({under})", _medians(costs), goal=1.5, of_ratio=True),
        Figure("tokens", f"99 of 100 tokens no later than, ms ({under})", _medians(late)),
        Figure("tokens", f"tokens and ends lost ({under})", lost, goal=0),
    ]


def streams(site: Site, names: Sequence[str]) -> None:
    """How many streams one worker holds. A step that fails is tried once more, for the machine may have been busy."""
    scale = site.scale
    held = dict.fromkeys(names, 0.0)
    late: dict[str, float] = {}
    people = site.people(max(scale.steps))
    standing = site.servers(names)
    for step in scale.steps:
        for server in tuple(standing):
            for _ in range(2):
                before = proc.cpu_seconds(server.pid)
                lasts = scale.step_tokens / RATE
                heard = server.hear(people[:step], paced(scale.step_tokens), scale.step_tokens, ramp=lasts / 2)
                used = proc.cpu_seconds(server.pid) - before
                found = {"streams": step, "p99_ms": heard.late(99), "lost": heard.lost, "cpu_s": used}
                site.note("streams", server, **found, failures=len(heard.failures))
                _complain(heard)
                late.setdefault(server.name, found["p99_ms"])
                if held_up := not heard.lost and not heard.failures and found["p99_ms"] < LATE_MS:
                    held[server.name], late[server.name] = step, found["p99_ms"]
                    break
            if not held_up:
                standing.remove(server)
    most = max(scale.steps)
    site.figures += [
        Figure("streams", f"streams of {RATE} a second held, of {most} tried", held, goal=300, at_least=True),
        Figure("streams", "99 of 100 tokens no later than, ms (at that number)", late),
    ]


def sockets(site: Site, names: Sequence[str]) -> None:
    """What silent sockets weigh, and what signing in costs."""
    scale = site.scale
    weights: dict[int, dict[str, float]] = {count: {} for count in scale.sockets}
    rates: dict[int, dict[str, float]] = {count: {} for count in scale.sockets}
    for name in names:
        with site.fresh_server(name) as server:
            people = site.people(max(scale.sockets) // SOCKETS_PER_PERSON)

            async def measure(server: Server = server, people: Sequence[str] = tuple(people)) -> None:
                base = proc.memory_kb(server.pid)
                opened: list[Idle] = []
                for count in scale.sockets:
                    fresh = [Idle(people[number % len(people)]) for number in range(count - len(opened))]
                    before = proc.cpu_seconds(server.pid)
                    seconds = await load.sign_in(fresh, server.port)
                    used = max(proc.cpu_seconds(server.pid) - before, proc.TICK)
                    opened += fresh
                    await asyncio.sleep(2 * SETTLE)
                    failed = sum(bool(one.failure) for one in opened)
                    weight = (proc.memory_kb(server.pid) - base) / count
                    weights[count][server.name], rates[count][server.name] = weight, len(fresh) / used
                    site.note(
                        "sockets",
                        server,
                        sockets=count,
                        kb=weight,
                        per_cpu_s=len(fresh) / used,
                        per_s=len(fresh) / seconds,
                        failures=failed,
                    )

            _on_uvloop(measure())
    for count in scale.sockets:
        site.figures += [
            Figure("sockets", f"kB for a silent socket, of {count}", weights[count], goal=30),
            Figure("sockets", f"signing in for a second of CPU, up to {count}", rates[count], goal=1500, at_least=True),
        ]


def _medians(found: dict[str, list[float]]) -> dict[str, float]:
    return {name: median(values) for name, values in found.items()}


def _complain(heard: Heard) -> None:
    for failure, count in Counter(heard.failures).most_common(3):
        say(f"           {count} × {failure}")


CASES: dict[str, Callable[[Site, Sequence[str]], None]] = {"tokens": tokens, "streams": streams, "sockets": sockets}
