"""Whether anything else runs on the machine while times are taken: other processes, or guests of its host.

Of the cores that this process may use, `/proc/stat` says how long each was busy; what this process did not do itself,
others did. Where there is no such file, as on macOS, there is only the load average, which counts this process too.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
# From here on, as a part of the cores, others take so much that times show it.
BUSY = 0.1
# How long to look before the run.
LOOK_SECONDS = 0.5
# The clocks tick in hundredths of a second, each core's at its own time.
TICKS = 0.05


@dataclass(frozen=True)
class Usage:
    """Seconds of all our cores together since some fixed time: our own, and if known those of all and of the host."""

    at: float
    own: float
    all_and_stolen: tuple[float, float] | None


@dataclass(frozen=True)
class Load:
    """What others took over some time, as parts of `cores`: processes and the host; None where nothing says.

    `average` is the load average at its end: how many processes ran or waited over the last minute.
    """

    cores: int
    others: float | None
    stolen: float | None
    average: float | None

    @property
    def busy(self) -> bool:
        """Whether it was enough to disturb a measurement."""
        if self.others is None or self.stolen is None:
            # This process, which may keep all cores at work, counts as well.
            return self.average is not None and self.average > (2 - BUSY) * self.cores
        return self.others + self.stolen > BUSY


def cores() -> frozenset[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def usage() -> Usage:
    """The seconds so far."""
    own = os.times()
    own_seconds = own.user + own.system + own.children_user + own.children_system
    return Usage(time.monotonic(), own_seconds, _core_seconds())


def since(start: Usage) -> Load:
    """The load from `start` until now."""
    end = usage()
    average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if start.all_and_stolen is None or end.all_and_stolen is None:
        return Load(len(cores()), None, None, average)
    busy, stolen = (late - early for early, late in zip(start.all_and_stolen, end.all_and_stolen, strict=True))
    available, own = (end.at - start.at) * len(cores()), end.own - start.own
    # Some sandboxes have a file that stands still.
    if available <= 0 or busy < own / 2 - TICKS:
        return Load(len(cores()), None, None, average)
    others, taken = (min(max(seconds / available, 0.0), 1.0) for seconds in (busy - own, stolen))
    return Load(len(cores()), others, taken, average)


def before() -> Load:
    """The load of the next moment, in which this process only waits."""
    start = usage()
    time.sleep(LOOK_SECONDS)
    return since(start)


def _core_seconds() -> tuple[float, float] | None:
    """How long our cores were busy, without what the host took, and how long the host took them; None if unknown."""
    try:
        lines = [line.split() for line in STAT.read_text().splitlines()]
        ours = [list(map(int, fields)) for name, *fields in lines if name[3:].isdigit() and int(name[3:]) in cores()]
        # user, nice, system, idle, iowait, irq, softirq, steal; what follows counts as user already.
        busy = sum(user + nice + system + irq + softirq for user, nice, system, _, _, irq, softirq, *_ in ours)
        stolen = sum(fields[7] for fields in ours)
    except (OSError, ValueError, IndexError):
        return None
    tick = os.sysconf("SC_CLK_TCK")
    return (busy / tick, stolen / tick) if ours else None
