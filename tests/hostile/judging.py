"""What is asked of each hostile file: how it may end, and what it may take."""

import time
from dataclasses import dataclass, field

from tests.hostile.sandbox import WAYS

SECONDS, MEMORY = 2.0, 200 * 10**6
# Whoever else uses the machine makes a process slower, by turns: what one takes is the least of so many tries.
_TRIES = 3
_LONGEST_LINE = 2_500


@dataclass
class Verdict:
    """What one file took in each way of opening it, what is wrong with that, and what takes too long."""

    name: str
    nbytes: int
    ways: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    seconds: float = 0
    beyond: int = 0  # the memory beyond 1.3 times the tensors that it holds

    def __str__(self):
        ways = ", ".join(f"{how} {what}" for how, what in self.ways.items())
        return f"{self.name} ({self.nbytes / 1e6:,.1f} MB): {ways}"


def judge(name, path, box) -> Verdict:
    """Opens a file in every way, in turn."""
    folder = path if path.is_dir() else path.parent
    files = [path] if path.is_file() and not path.name.endswith(".index.json") else [*folder.iterdir()]
    verdict = Verdict(name, sum(file.stat().st_size for file in files if file.is_file()))
    most = SECONDS + 2 * _reading(files)
    held, is_refused = 0, False
    for how in WAYS:
        if is_refused and how not in ("read", "inspect"):
            break  # the others would refuse it at the same place
        outcome = box.open(path, how)
        is_refused = outcome.ended == "refused"
        verdict.problems += [f"{how}: {problem}" for problem in _problems(outcome)]
        held = outcome.held if how == "read" and outcome.held is not None else held
        tries = [outcome.seconds]
        while min(tries) > most and len(tries) < _TRIES:
            tries.append(box.open(path, how).seconds)
        beyond = outcome.memory - int(1.3 * held)
        if min(tries) > most:
            verdict.late.append(f"{how}: {min(tries):.2f} s, where {most:.2f} s are allowed")
        if beyond > MEMORY:
            verdict.problems.append(f"{how}: {outcome.memory / 1e6:.0f} MB, {beyond / 1e6:.0f} MB beyond its tensors")
        verdict.ways[how] = f"{outcome.ended} {min(tries):.2f} s {outcome.memory / 1e6:.0f} MB"
        verdict.seconds = max(verdict.seconds, min(tries))
        verdict.beyond = max(verdict.beyond, beyond)
    return verdict


def _reading(files):
    """The time that reading the files' bytes takes, for those that are no larger than the promise speaks of."""
    start = time.process_time()
    for file in files:
        if file.is_file() and file.stat().st_size < 2 * 10**8:
            file.read_bytes()
    return time.process_time() - start


def _problems(outcome):
    """What is wrong with how it ended and with what was printed."""
    printed = outcome.printed.read_text(errors="surrogateescape")
    said = outcome.said.read_text(errors="surrogateescape")
    if outcome.ended not in ("read", "refused"):
        yield f"{outcome.ended} {said[-300:]!r}"
    for text in (printed, said):
        if not all(line.isprintable() for line in text.split("\n")):
            yield "prints what steers a terminal"
    if outcome.ended == "refused":
        # The log may say beforehand which dict is read.
        *_, last = said.rstrip("\n").split("\n")
        if printed or len(said.splitlines()) > 2 or not last or len(last) > _LONGEST_LINE:
            yield f"is not refused in one line: {said[:300]!r}"
