"""What is said of each spatial axis of a layer: its output size, in words and numbers, and its overlap."""

import dataclasses
from typing import Any

from jax_tconv._call.geometry import Axis, Geometry

from .overlap import Overlap, overlap, taps

FORMULA = "out = (in - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1"
# Where a padding has a name, which makes both ends' rows, and there is no output padding.
NAMED_FORMULA = "out = (in - 1) * stride - low - high + dilation * (kernel - 1) + 1"
# How much of the table of taps `as_data` has: enough to see the pattern.
TABLED_OUTPUTS = 16


@dataclasses.dataclass(frozen=True)
class Term:
    """One term of the output size: as in the formula, in this layer's numbers, its value, and what it means."""

    name: str
    numbers: str
    value: int
    meaning: str


@dataclasses.dataclass(frozen=True)
class Explained:
    """One axis, or several that are alike, its size and overlap taken apart; `numbers` says which, out of `ndim`."""

    numbers: tuple[int, ...]
    ndim: int
    axis: Axis
    terms: list[Term]
    overlap: Overlap

    @property
    def place(self) -> str:
        """Where that is, to follow a heading: " on axis 0", or nothing if there is only one axis."""
        if self.ndim == 1:
            return ""
        if len(self.numbers) == self.ndim:
            return f" on each of {self.ndim} axes"
        return f" on ax{'i' if len(self.numbers) == 1 else 'e'}s {', '.join(map(str, self.numbers))}"

    def as_data(self) -> dict[str, Any]:
        """Everything, for a program to read."""
        found = self.overlap
        return {
            "axes": self.numbers,
            "output_size": self.axis.output_size,
            "terms": [dataclasses.asdict(term) for term in self.terms],
            "overlap": dataclasses.asdict(found) | {"even": found.even, "border": found.border},
            # One list per input row; for each of the first output rows the tap that joins them, or None.
            "taps": [[None if tap < 0 else tap for tap in row] for row in taps(self.axis, TABLED_OUTPUTS).tolist()],
        }


def explain_axes(geometry: Geometry, named_padding: bool = False) -> list[Explained]:
    """The axes of a layer, those that are alike taken together, in order of their first ones.

    `named_padding` says whether the padding is "SAME" or "VALID", so that its two ends are told apart.
    """
    alike: dict[Axis, list[int]] = {}
    for number, axis in enumerate(geometry.axes):
        alike.setdefault(axis, []).append(number)
    return [
        Explained(
            tuple(numbers),
            geometry.ndim,
            axis,
            terms(axis, geometry.padding_high[numbers[0]], named_padding),
            overlap(axis),
        )
        for axis, numbers in alike.items()
    ]


def terms(axis: Axis, padding_high: int, named_padding: bool = False) -> list[Term]:
    """What adds up to `axis.output_size`."""
    n, k, s, d, low = axis.input_size, axis.kernel_size, axis.stride, axis.dilation, axis.padding_low
    # The two paddings differ by the output padding, even if an output size was given instead.
    extra = low - padding_high
    inputs = Term("(in - 1) * stride", f"({n} - 1) * {s}", (n - 1) * s, "from the first input row to the last")
    taps = Term("dilation * (kernel - 1)", f"{d} * ({k} - 1)", d * (k - 1), "from the kernel's first tap to its last")
    first = Term("1", "1", 1, "the first row itself")
    if named_padding:
        end = "at the end" if padding_high >= 0 else "at the end, where a negative number adds rows"
        high = f"({padding_high})" if padding_high < 0 else f"{padding_high}"
        cut = [Term("- low", f"- {low}", -low, "rows cut off at the start")]
        cut += [Term("- high", f"- {high}", -padding_high, f"rows cut off {end}")]
        return [inputs, *cut, taps, first]
    return [
        inputs,
        Term("- 2 * padding", f"- 2 * {low}", -2 * low, "rows cut off, as many at both ends"),
        taps,
        Term("output_padding", f"{extra}", extra, "rows added, at the end only"),
        first,
    ]


def last_two(explained: list[Explained]) -> tuple[Overlap, Overlap] | None:
    """The overlaps of the last two axes, which are an image's rows and columns; None if there is only one axis."""
    by_number = {number: one.overlap for one in explained for number in one.numbers}
    ndim = len(by_number)
    return (by_number[ndim - 2], by_number[ndim - 1]) if ndim > 1 else None
