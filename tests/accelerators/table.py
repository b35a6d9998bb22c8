"""What was found, as tables: each program's line, and for each class of layer the distance from the roofline."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jax_tconv._call.call import OPS
from tests.accelerators.compiling import CHIPS
from tests.accelerators.kinds import kind
from tests.accelerators.layers import find, roofline

Result = dict[str, Any]

COLUMNS = ("class of layer", "layers", *OPS)


def mean(values: Iterable[float]) -> float:
    """The geometric mean; NaN of none."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def least(result: Result) -> float:
    """The roofline of a result's layer on its chip, in seconds."""
    chip = CHIPS[result["chip"]]
    return roofline(find(result["layer"], result["batch"]), result["dtype"], chip.peak[result["dtype"]], chip.bandwidth)


def line(result: Result) -> str:
    """One program in one line."""
    words = f"{result['chip']} {result['dtype']} {result['layer']} (batch {result['batch']}), {result['op']}"
    if "error" in result:
        return f"{words}: {result['error']}"
    words += f" by {result['method']}: {result['seconds'] * 1e6:.1f} us, {result['seconds'] / least(result):.1f} times"
    words += f" the roofline, {result['temporary_bytes'] / 2**20:.0f} MB held, compiled in"
    words += f" {result['compile_seconds']:.1f} s"
    if result["flops"]:
        words += f", flops {result['flops'] / find(result['layer'], result['batch']).flops('forward'):.2f}"
    return words + "".join(f", {call}" for call in result["calls"])


def by_kind(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Rows of class of layer, number of layers, and for each op the geometric mean over the roofline, worst last.

    Of results in several dtypes a mean for each, in order, with slashes between.
    """
    ratios: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    layers = defaultdict(set)
    for result in (result for result in results if "error" not in result):
        for name in (kind(find(result["layer"])), "all"):
            ratios[name, result["op"], result["dtype"]].append(result["seconds"] / least(result))
            layers[name].add(result["layer"])
    dtypes = sorted({dtype for _, _, dtype in ratios}, reverse=True)

    def cell(name: str, op: str) -> str:
        return " / ".join(f"{mean(ratios[name, op, dtype]):.1f}" for dtype in dtypes)

    order = sorted(
        layers, key=lambda name: (name == "all", mean(r for key in ratios if key[0] == name for r in ratios[key]))
    )
    return [(name, str(len(layers[name])), *(cell(name, op) for op in OPS)) for name in order]


def by_chip(results: Sequence[Result]) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """For each chip and batch a heading, and the rows of `by_kind`."""
    for chip, batch in sorted({(result["chip"], result["batch"]) for result in results}):
        here = [result for result in results if (result["chip"], result["batch"]) == (chip, batch)]
        dtypes = " / ".join(sorted({result["dtype"] for result in here}, reverse=True))
        yield f"{chip}, {f'batch {batch}' if batch else 'the usual batch'}, {dtypes}", by_kind(here)


def markdown(rows: Iterable[Sequence[str]]) -> str:
    """The table of these rows, for the docs."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows))
