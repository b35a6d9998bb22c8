"""How many input pixels meet in each output pixel, and whether unevenly: then a plain area comes out as a checkerboard.

A. Odena, V. Dumoulin and C. Olah, "Deconvolution and Checkerboard Artifacts" (2016). On each axis, input row `i` meets
output row `o` through one tap at most, so inputs and taps count alike; over several axes the counts multiply. They are
what the library's own methods go by: for each residue of an output row by the stride, the taps that meet there.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from jax_tconv._call.geometry import Axis
from jax_tconv._methods.polyphase import meetings


@dataclasses.dataclass(frozen=True)
class Overlap:
    """One axis: how many input rows add up to each output row.

    `counts` has one number per output row. `pattern` is what they repeat away from the border, beginning at an output
    row whose number is a multiple of the stride. `even_kernels` are the kernel sizes nearest to this one (itself, if
    it is even) whose pattern is even.
    """

    counts: tuple[int, ...]
    pattern: tuple[int, ...]
    even_kernels: tuple[int, ...]
    verdict: str

    @property
    def even(self) -> bool:
        """Whether all output rows away from the border get equally many input rows."""
        return len(set(self.pattern)) == 1

    @property
    def border(self) -> tuple[int, int]:
        """How many output rows at the start and at the end lie outside the pattern."""
        size, half = len(self.counts), (len(self.counts) + 1) // 2
        off = np.flatnonzero(np.resize(self.pattern, size) != self.counts).tolist()
        return max((o + 1 for o in off if o < half), default=0), max((size - o for o in off if o >= half), default=0)


def overlap(axis: Axis) -> Overlap:
    """The counts of one axis, and what they mean."""
    met = meetings(axis)
    counts = np.zeros(axis.output_size, int)
    for residue, together in enumerate(met):
        rows = counts[residue :: axis.stride]
        for _, shift in together:
            # Only the input rows that exist.
            rows[max(0, -shift) : max(0, axis.input_size - shift)] += 1
    pattern = tuple(map(len, met))
    # Multiples of the stride, if the taps reach every phase.
    below, above = axis.kernel_size // axis.stride, math.ceil(axis.kernel_size / axis.stride)
    evens = (
        tuple(n * axis.stride for n in sorted({below, above} - {0}))
        if math.gcd(axis.stride, axis.dilation) == 1
        else ()
    )
    return Overlap(tuple(counts.tolist()), pattern, evens, _verdict(axis, pattern, evens))


def taps(axis: Axis, n_outputs: int) -> np.ndarray:
    """For the first output rows, which tap joins each to each input row: `(inputs, outputs)`, -1 for none.

    The input rows after the last one that reaches any of these output rows are left out.
    """
    met = meetings(axis)
    n_outputs = min(n_outputs, axis.output_size)
    found = [
        (row // axis.stride + shift, row, tap)
        for row in range(n_outputs)
        for tap, shift in met[row % axis.stride]
        if 0 <= row // axis.stride + shift < axis.input_size
    ]
    grid = np.full((max((number + 1 for number, _, _ in found), default=0), n_outputs), -1)
    for number, row, tap in found:
        grid[number, row] = tap
    return grid


def _verdict(axis: Axis, pattern: tuple[int, ...], evens: Sequence[int]) -> str:
    k, s, d = axis.kernel_size, axis.stride, axis.dilation
    if len(set(pattern)) == 1:
        why = "stride 1" if s == 1 else f"kernel {k} is a multiple of stride {s}"
        rows = "1 input row" if pattern[0] == 1 else f"{pattern[0]} input rows"
        return f"Even: away from the border every output row gets {rows} ({why})."
    shown = ", ".join(map(str, pattern[:12])) + (", ..." if s > 12 else "")
    text = f"Uneven: away from the border the output rows get {shown} input rows in turn, "
    text += "a checkerboard with holes" if 0 in pattern else "a checkerboard"
    common = math.gcd(s, d)
    if common > 1:
        return (
            f"{text}. Stride {s} and dilation {d} share the factor {common}, so only one output row in {common} "
            "gets anything, whatever the kernel; choose a dilation without that factor."
        )
    return f"{text}. Kernel {k} is not a multiple of stride {s}; {' or '.join(map(str, evens))} would be even."
