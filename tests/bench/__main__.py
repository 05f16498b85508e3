"""Measure the server beside a peer: `python -m tests.bench [--quick] [case …]`, which is `make bench`.

PostgreSQL and Redis are started for it, unless `DATABASE_URL` and `REDIS_URL` name others. The table at the end is also
in `var/bench/latest.json`, with every single run. Exits with 1 if a goal is not reached.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from math import nan

from tests.bench import proc
from tests.bench.cases import CASES, FULL, PEER, QUICK, SERVERS, Figure, cores, site
from tests.harness.fetched import ROOT, say
from tests.harness.servers import postgres, redis_server

RESULT = ROOT / "var" / "bench" / "latest.json"
PACKAGES = ("aiohttp", "channels", "daphne", "django", "msgspec", "redis", "uvicorn", "uvloop", "websockets")
# Files a process has open beside its connections.
OTHER_FILES = 200


def table(figures: list[Figure], names: list[str]) -> str:
    """The result for people: the values, and what each of ours is in terms of the peer's."""
    ours = [name for name in names if name != PEER]
    head = [f"{'':58}", *(f"{name:>9}" for name in names), *(f"{f'{name}:{PEER}':>15}" for name in ours), "  goal"]
    lines = ["".join(head)]
    for figure in figures:
        values = [f"{figure.values.get(name, nan):9.4g}" for name in names]
        ratios = [f"{figure.ratio(name):15.2f}" for name in ours]
        goal = ""
        if figure.goal is not None:
            verdicts = ", ".join(f"{name} {'yes' if figure.reached(name) else 'no'}" for name in ours)
            goal = f"  {'≥' if figure.at_least else '≤'} {figure.goal:g}{' ×' if figure.of_ratio else ''}: {verdicts}"
        lines.append("".join([f"{figure.what:58}", *values, *ratios, goal]))
    return "\n".join(lines)


def main() -> int:
    """Measure what was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="everything once and small: a minute, rough figures, and no goal but that nothing is lost",
    )
    parser.add_argument("--server", action="append", choices=SERVERS, help="only this server; may be given twice")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}; all, if none is named")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if not os.path.isdir("/proc/self"):
        parser.error("this reads CPU time and memory from Linux's /proc")
    scale = QUICK if options.quick else FULL
    names = [PEER, *(options.server or SERVERS)]
    own, others = cores()
    say(f"Server on core {min(own)}, everything else on {', '.join(map(str, sorted(others)))}.")
    if own == others:
        say("There is one core: vendor, clients and databases take it from the server, and delays say little.")
    wanted = scale.most_connections + OTHER_FILES
    if (allowed := proc.allow_files(wanted)) < wanted:
        say(f"This machine allows {allowed} open files, and {wanted} are needed: some connections will fail.")
    began = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    with ExitStack() as stack:
        with proc.running_on(others):
            for variable, server in (("DATABASE_URL", postgres), ("REDIS_URL", redis_server)):
                os.environ[variable] = os.environ.get(variable) or stack.enter_context(server())
        measured = stack.enter_context(site(scale))
        for case in options.cases or CASES:
            say(f"{case} …")
            CASES[case](measured, names)
    if options.quick:
        for figure in measured.figures:
            if figure.goal:  # that nothing is lost holds for few as for many; the others are of a size
                figure.goal = None
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    result = {
        "began": began,
        "commit": commit.stdout.strip(),
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "packages": {name: version(name) for name in PACKAGES},
        "scale": asdict(scale),
        "figures": [asdict(figure) for figure in measured.figures],
        "runs": measured.runs,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    say(f"\n{table(measured.figures, names)}\n\nAlso in {RESULT.relative_to(ROOT)}, with every single run.")
    ours = [name for name in names if name != PEER]
    return int(any(figure.reached(name) is False for figure in measured.figures for name in ours))


sys.exit(main())
