"""The communication in a compiled program, read from its HLO text, and what there must be where rows are split."""

import math
import re
from typing import NamedTuple

KINDS = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast|ragged-all-to-all"
# The result's type stands before the name; the later half of a pair moves nothing more.
INSTRUCTION = re.compile(rf"^\s*(?:ROOT )?%?[\w.-]+ = (.*?) ({KINDS})(-start)?\(")
ARRAY = re.compile(r"\b([a-z]+)(\d+)\w*\[([\d,]*)\]")
COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.-]+) \(.*\{\s*$")
CALLED = re.compile(r"(?:body|condition|calls|to_apply|branch_computations)=\{?((?:%?[\w.-]+(?:, )?)+)")
TRIPS = re.compile(r'known_trip_count"?[:=]\{"?n"?[:=]"?(\d+)')


class Collective(NamedTuple):
    """One collective: its kind, the bytes of each array that it gives (some are combined), and how often it runs."""

    kind: str
    arrays: tuple[int, ...]
    times: int

    @property
    def largest(self) -> int:
        """The bytes of its largest array."""
        return max(self.arrays)

    @property
    def total(self) -> int:
        """The bytes of all its arrays, in all its runs."""
        return sum(self.arrays) * self.times


def collectives(text: str) -> list[Collective]:
    """Every collective of the program, in the order of the text."""
    bodies, entry = _computations(text)
    runs = _runs(bodies, entry)
    found = []
    for name, lines in bodies.items():
        for line in lines:
            match = INSTRUCTION.match(line)
            if match and runs.get(name):
                found.append(Collective(match[2], _arrays(*match.groups()), runs[name]))
    return found


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    bodies: dict[str, list[str]] = {}
    name = entry = ""
    for line in text.splitlines():
        match = COMPUTATION.match(line)
        if match and " = " not in line:
            name = match[2]
            bodies[name] = []
            entry = name if match[1] else entry
        elif name:
            bodies[name].append(line)
    return bodies, entry


def _runs(bodies: dict[str, list[str]], entry: str) -> dict[str, int]:
    """How often each computation runs; a loop whose trips the compiler does not know counts as one."""
    runs = dict.fromkeys(bodies, 0)

    def count(name: str, times: int) -> None:
        runs[name] += times
        for line in bodies[name]:
            trips = TRIPS.search(line) if " while(" in line else None
            for names in CALLED.findall(line):
                for called in names.replace("%", "").split(", "):
                    if called in bodies:
                        count(called, times * int(trips[1]) if trips else times)

    count(entry, 1)
    return runs


def _arrays(type_: str, kind: str, started: str | None) -> tuple[int, ...]:
    """The bytes of each array that it gives; of one that is only started, these stand after its operands."""
    found = [
        math.prod(int(size) for size in sizes.split(",") if size) * int(bits) // 8
        for _, bits, sizes in ARRAY.findall(type_)
    ]
    if not started or kind == "all-reduce":
        return tuple(found)
    if kind == "collective-permute":
        found = [size for (_, _, sizes), size in zip(ARRAY.findall(type_), found, strict=True) if sizes]
    return tuple(found[len(found) // 2 :])


def halo(rows: int, kernel: int, out: int, parts: int, stride=1, padding=0, dilation=1, **_) -> tuple[int, int]:
    """The rows of x, and of y, that a device needs from one of its neighbours where both are in so many parts.

    Tap `t` of input row `i` meets output row `i * stride + t * dilation - padding`.
    """
    of_x, of_y = rows // parts, out // parts
    pairs = [(i, i * stride + t * dilation - padding) for i in range(rows) for t in range(kernel)]
    away = [(i - j // of_y * of_x, j - i // of_x * of_y) for i, j in pairs if 0 <= j < out]
    return (
        max(max(-x, x - of_x + 1) for x, _ in away),
        max(max(-y, y - of_y + 1) for _, y in away),
    )
