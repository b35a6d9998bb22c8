"""How our cost grows: each axis of one layer of each kind doubled, again and again, and time and memory followed.

Twice the pixels, batch or channels is twice the arithmetic and at most twice the data, so neither time nor memory may
grow by more than that.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from .layers import Layer, parse
from .peers.contestant import Contestant
from .timing import interleave

# Growth beyond proportion by more than this, over all doublings together, is flagged; less is noise.
TOLERANCE = 1.25

# Small enough that eight times the size still runs in well under a second; large enough that work outweighs the call.
KINDS = [
    parse({"name": name, "in": c_in, "out": c_out, "kernel": kernel, "input": size} | others, "a kind")
    for name, c_in, c_out, kernel, size, others in (
        ("k4 s2", 64, 64, 4, [32, 32], {"stride": 2, "padding": 1}),
        ("k2 s2", 64, 64, 2, [48, 48], {"stride": 2}),
        ("k3 s2", 64, 64, 3, [40, 40], {"stride": 2, "padding": 1, "output_padding": 1}),
        ("1-d k16 s8", 128, 64, 16, [512], {"stride": 8, "padding": 4}),
        ("3-d k3 s2", 32, 32, 3, [10, 10, 10], {"stride": 2, "padding": 1, "output_padding": 1}),
        ("depthwise k4 s2", 64, 64, 4, [48, 48], {"stride": 2, "padding": 1, "groups": 64}),
        ("grouped k3 s2", 256, 128, 3, [24, 24], {"stride": 2, "groups": 4}),
        ("dilated k3 s1", 64, 64, 3, [32, 32], {"padding": 2, "dilation": 2}),
    )
]


@dataclass(frozen=True)
class Growth:
    """One layer's seconds and bytes (arguments, results and temporaries) at each size of an axis, doubling."""

    kind: str
    mode: str
    axis: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    bytes: tuple[int, ...] | None

    @property
    def excess(self) -> dict[str, float]:
        """How many times more than in proportion "time" and "memory" grew, over all doublings."""
        proportion = self.sizes[-1] / self.sizes[0]
        found = {"time": self.seconds[-1] / self.seconds[0] / proportion}
        if self.bytes:
            found["memory"] = self.bytes[-1] / self.bytes[0] / proportion
        return found

    @property
    def flags(self) -> list[str]:
        """What grew by more than the axis did, and how many times more."""
        return [f"{name} {excess:.2f}" for name, excess in self.excess.items() if excess > TOLERANCE]


def axes(layer: Layer) -> Mapping[str, tuple[int, Callable[[int], Layer]]]:
    """By name, an axis's size in the layer, and what makes it so many times larger."""
    found = {"batch": (layer.batch, partial(_enlarge, layer, ("batch",)))}
    for axis, size in enumerate(layer.input):
        found[f"rows of axis {axis}"] = (size, partial(_lengthen, layer, axis))
    found["channels in"] = (layer.c_in, partial(_enlarge, layer, ("c_in",)))
    found["channels out"] = (layer.c_out, partial(_enlarge, layer, ("c_out",)))
    if layer.groups > 1:
        # More groups of the same size.
        found["groups"] = (layer.groups, partial(_enlarge, layer, ("groups", "c_in", "c_out")))
    return found


def _enlarge(layer: Layer, fields: tuple[str, ...], factor: int) -> Layer:
    larger: dict[str, Any] = {field: getattr(layer, field) * factor for field in fields}
    return dataclasses.replace(layer, **larger)


def _lengthen(layer: Layer, axis: int, factor: int) -> Layer:
    return dataclasses.replace(layer, input=tuple(n * factor if a == axis else n for a, n in enumerate(layer.input)))


def measure(layer: Layer, mode: str, ours: Contestant, doublings: int, rounds: int, seconds: float) -> Iterator[Growth]:
    """Yields the growth along each axis in turn; the sizes of an axis are timed interleaved."""
    base = ours.prepare(layer, mode, layer.draw())
    for name, (size, enlarge) in axes(layer).items():
        programs = {size: base}
        for factor in (2**number for number in range(1, doublings + 1)):
            larger = enlarge(factor)
            programs[size * factor] = ours.prepare(larger, mode, larger.draw())
        calls = {str(length): program.call for length, program in programs.items()}
        timings = interleave(calls, rounds, seconds, slow_factor=math.inf)
        medians = tuple(timing.median for timing in timings.values())
        total = tuple(program.total_bytes for program in programs.values() if program.total_bytes is not None)
        yield Growth(layer.name, mode, name, tuple(programs), medians, total if len(total) == len(programs) else None)


def show(console: Console, growths: list[Growth]) -> None:
    """Prints how time and memory grew at each doubling, and what grew by more than its axis."""
    headings = ("layer", "mode", "axis", "sizes", "ms", "time", "MB", "memory", "")
    title = "growth at each doubling: 2.00 is in proportion"
    table = Table(*headings, title=title, title_justify="left", title_style="bold")
    for growth in growths:
        flags = ", ".join(growth.flags)
        table.add_row(
            growth.kind,
            growth.mode,
            growth.axis,
            f"{growth.sizes[0]} to {growth.sizes[-1]}",
            f"{growth.seconds[0] * 1e3:.2f} to {growth.seconds[-1] * 1e3:.2f}",
            _doublings(growth.seconds),
            f"{growth.bytes[0] / 2**20:.1f} to {growth.bytes[-1] / 2**20:.1f}" if growth.bytes else "-",
            _doublings(growth.bytes) if growth.bytes else "-",
            f"[red]{flags}[/]" if flags else "[green]ok[/]",
        )
    console.print(table)
    flagged = [f"{g.kind} {g.mode} {g.axis} ({', '.join(g.flags)})" for g in growths if g.flags]
    console.print(
        f"more than {TOLERANCE} times in proportion over all doublings: "
        + (f"[red]{'; '.join(flagged)}[/]" if flagged else "[green]none[/]")
    )


def _doublings(values: tuple[float, ...]) -> str:
    return "  ".join(f"{after / before:.2f}" for before, after in itertools.pairwise(values))
