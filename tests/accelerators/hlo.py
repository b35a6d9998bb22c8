"""Compiled programs as text: their instructions, what these take, and how often each is run."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

ITEMSIZE = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "f16": 2, "bf16": 2, "s32": 4, "u32": 4, "f32": 4}
ITEMSIZE |= {"s64": 8, "u64": 8, "f64": 8, "c64": 8, "c128": 16}
ARRAY = re.compile(rf"\b({'|'.join(ITEMSIZE)})\[([\d,]*)\](?:\{{([^}}]*)\}})?")
COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{\s*$")
INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (.*)$")
# What takes no time of its own.
FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call", "conditional", "iota"}
FREE |= {"copy-done", "slice-done", "async-done", "after-all", "partition-id", "opt-barrier"}


@dataclass(frozen=True)
class Array:
    """A type: dtype, dimensions, and the layout as it stands in the text."""

    dtype: str
    shape: tuple[int, ...]
    layout: str

    @property
    def nbytes(self) -> int:
        """Bytes without what the layout pads."""
        return ITEMSIZE[self.dtype] * math.prod(self.shape)


@dataclass(frozen=True)
class Instruction:
    """One line of a computation; `attributes` is the text after its operands, and a constant's value."""

    name: str
    type: str
    opcode: str
    operands: tuple[str, ...]
    attributes: str

    @property
    def arrays(self) -> list[Array]:
        """What it gives, a tuple's parts one by one."""
        return arrays(self.type)

    def attribute(self, pattern: str) -> str:
        """The first group of `pattern` in the attributes; empty where they do not have it."""
        found = re.search(pattern, self.attributes)
        return found[1] if found else ""


@dataclass
class Program:
    """The computations of a program by name, each as its instructions by name."""

    entry: str = ""
    computations: dict[str, dict[str, Instruction]] = field(default_factory=dict)

    def everywhere(self) -> Iterator[Instruction]:
        """Every instruction, those within fusions included."""
        for instructions in self.computations.values():
            yield from instructions.values()

    def runs(self) -> Iterator[tuple[Instruction, list[Array], int]]:
        """What the device runs: each instruction that takes time, the arrays it reads, and how often it runs."""
        for name, times in self._times().items():
            instructions = self.computations[name]
            for one in instructions.values():
                if one.opcode not in FREE:
                    read = [array for o in one.operands if o in instructions for array in instructions[o].arrays]
                    yield one, read, times

    def _times(self) -> dict[str, int]:
        """How often each computation that is not fused into another runs; an unknown trip count is an error."""
        times: dict[str, int] = {}
        todo = [(self.entry, 1)]
        while todo:
            name, count = todo.pop()
            times[name] = times.get(name, 0) + count
            for one in self.computations[name].values():
                if one.opcode == "while":
                    todo.append((one.attribute(r"body=%?([\w.\-]+)"), count * self._steps(one)))
                elif one.opcode in ("call", "conditional", "async-start"):
                    todo += [(called, count) for called in _called(one.attributes) if called in self.computations]
        return times

    def _steps(self, loop: Instruction) -> int:
        """How often a loop's body runs: as the compiler says, or the number that its condition compares with."""
        if known := loop.attribute(r'known_trip_count"?:?\{"n":"(\d+)"'):
            return int(known)
        condition = self.computations[loop.attribute(r"condition=%?([\w.\-]+)")].values()
        bounds = [int(one.attributes) for one in condition if one.opcode == "constant" and one.attributes.isdigit()]
        if len(bounds) != 1:
            raise ValueError(f"how often does {loop.name} run? Its condition has the constants {bounds}")
        return bounds[0]


def _called(attributes: str) -> list[str]:
    """The computations that an instruction calls; of a conditional, every branch."""
    found = re.findall(r"(?:to_apply|calls|branch_computations|\w+_computation)=(\{[^}]*\}|%?[\w.\-]+)", attributes)
    return [name for names in found for name in re.findall(r"[\w.\-]+", names)]


def arrays(type_text: str) -> list[Array]:
    """The arrays in the text of a type."""
    return [
        Array(dtype, tuple(int(size) for size in sizes.split(",") if size), layout)
        for dtype, sizes, layout in ARRAY.findall(type_text)
    ]


def parse(text: str) -> Program:
    """The program that `compiled.as_text()` shows."""
    program, current = Program(), None
    for line in text.splitlines():
        if line.startswith("}"):
            current = None
        elif found := COMPUTATION.match(line):
            current = program.computations.setdefault(found[2], {})
            program.entry = found[2] if found[1] else program.entry
        elif current is not None and (found := INSTRUCTION.match(line)):
            current[found[1]] = _instruction(found[1], found[2])
    return program


def _instruction(name: str, text: str) -> Instruction:
    """`f32[2]{0} opcode(operands), attributes`; the type may be a tuple."""
    end = _matching(text, 0, stop=" ")
    kind, rest = text[:end], text[end + 1 :]
    opcode = re.match(r"[\w\-]+", rest)
    start = opcode.end() if opcode else 0
    close = _matching(rest, start, stop="")
    operands = re.findall(r"%([\w.\-]+)", rest[start:close])
    attributes = rest[start + 1 : close] if rest.startswith("constant(") else rest[close:]
    return Instruction(name, kind, opcode[0] if opcode else "?", tuple(operands), attributes)


def _matching(text: str, start: int, stop: str) -> int:
    """Where, from `start` on, `stop` stands outside all brackets, or, without one, the first bracket is closed."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth == 0 and (text[at] == stop if stop else text[at] in ")]}"):
            return at
    return len(text)
