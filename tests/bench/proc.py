"""What a process and its children have used, from Linux's /proc; and where what is started now may run."""

import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROC = Path("/proc")
# Seconds; CPU time is counted in these.
TICK = 1 / os.sysconf("SC_CLK_TCK")
# Places in /proc/<pid>/stat, counted after the name, which may hold spaces.
PARENT, USER, SYSTEM = 1, 11, 12


def _stat(pid: int) -> list[str]:
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def family(pid: int) -> list[int]:
    """The process and everything it has started, as far as it still lives."""
    children: dict[int, list[int]] = {}
    for each in PROC.iterdir():
        if each.name.isdigit():
            with suppress(OSError):  # it ended while we looked
                children.setdefault(int(_stat(int(each.name))[PARENT]), []).append(int(each.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its children."""
    ticks = 0
    for one in family(pid):
        with suppress(OSError):
            stat = _stat(one)
            ticks += int(stat[USER]) + int(stat[SYSTEM])
    return ticks * TICK


def memory_kb(pid: int) -> int:
    """PSS of the process and its children: a page that several share counts for each of them by its share."""
    kilobytes = 0
    for one in family(pid):
        with suppress(OSError):
            lines = (PROC / str(one) / "smaps_rollup").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes


@contextmanager
def running_on(cores: Iterable[int]) -> Iterator[None]:
    """Whatever is started inside stays on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_files(wanted: int) -> int:
    """Raise the limit on open files to `wanted`, here and in whatever is started from now on, as far as the machine
    lets us; the limit that holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return wanted if soft == resource.RLIM_INFINITY else soft
