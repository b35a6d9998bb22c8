"""How many input pixels meet in each output pixel, and whether unevenly: then a plain area comes out as a checkerboard.

A. Odena, V. Dumoulin and C. Olah, "Deconvolution and Checkerboard Artifacts" (2016). On each axis, input row `i` meets
output row `o` through one tap at most, so inputs and taps count alike; over several axes the counts multiply. They are
found by asking the op itself, with ones and with numbered taps, so no arithmetic of rows is repeated here.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from jax_tconv import conv_transpose
from jax_tconv.geometry import Axis


@dataclasses.dataclass(frozen=True)
class Overlap:
    """One axis: how many input rows each output row is a sum of.

    `counts` has one for each output row. `pattern` is what they repeat away from the border, from an output row whose
    number is a multiple of the stride on. `even_kernels` are the kernel sizes nearest to this one (itself, if it is
    even) whose pattern is even.
    """

    counts: tuple[int, ...]
    pattern: tuple[int, ...]
    even_kernels: tuple[int, ...]
    verdict: str

    @property
    def even(self) -> bool:
        """Whether all output rows away from the border get as many input rows."""
        return len(set(self.pattern)) == 1

    @property
    def border(self) -> tuple[int, int]:
        """How many output rows at the start and at the end lie outside of the pattern."""
        half = (len(self.counts) + 1) // 2
        off = np.flatnonzero(np.resize(self.pattern, len(self.counts)) != self.counts)
        return max(off[off < half] + 1, default=0), max(len(self.counts) - off[off >= half], default=0)


def overlap(axis: Axis, padding_high: int) -> Overlap:
    """The counts of one axis, and what they mean."""
    ones = np.ones((1, axis.input_size, 1), np.float32)
    counts = _landing(axis, ones, np.ones(axis.kernel_size), (axis.padding_low, padding_high))[0]
    pattern = _pattern(axis)
    evens = _even_kernels(axis)
    return Overlap(tuple(counts.tolist()), pattern, evens, _verdict(axis, pattern, evens))


def taps(axis: Axis, padding_high: int, n_outputs: int) -> np.ndarray:
    """For the first output rows, which tap each input row reaches them through: `(inputs, outputs)`, -1 for none.

    Only the input rows that may reach one of these output rows are there.
    """
    n_outputs = min(n_outputs, axis.output_size)
    # A later input row would land beyond them.
    n_inputs = min(axis.input_size, math.ceil((n_outputs + axis.padding_low) / axis.stride))
    one_hot = np.eye(n_inputs, dtype=np.float32)[..., None]
    # With fewer input rows the output is extended instead of cut off, so that the rows wanted are all there.
    high = padding_high if n_inputs == axis.input_size else -axis.stride
    numbered = np.arange(1, axis.kernel_size + 1)
    return _landing(axis, one_hot, numbered, (axis.padding_low, high))[:, :n_outputs] - 1


def _pattern(axis: Axis) -> tuple[int, ...]:
    # So long that a whole period in the middle is out of reach of both ends.
    reach = axis.dilation * (axis.kernel_size - 1)
    n_inputs = reach // axis.stride + 3
    full = _landing(axis, np.ones((1, n_inputs, 1), np.float32), np.ones(axis.kernel_size), (0, 0))[0]
    start = math.ceil(reach / axis.stride) * axis.stride
    return tuple(np.roll(full[start : start + axis.stride], -axis.padding_low).tolist())


def _landing(axis: Axis, x: np.ndarray, kernel: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    kernel = kernel.astype(np.float32)[:, None, None]
    # float32 is exact for the counts and tap numbers here, all of them far below 2**24.
    y = conv_transpose(x, kernel, stride=axis.stride, dilation=axis.dilation, padding=(padding,), precision="highest")
    return np.asarray(y)[..., 0].astype(int)


def _even_kernels(axis: Axis) -> tuple[int, ...]:
    """The sizes up to and from this one on that are even: multiples of the stride, if the taps reach every phase."""
    if math.gcd(axis.stride, axis.dilation) > 1:
        return ()
    below = axis.kernel_size // axis.stride * axis.stride
    above = math.ceil(axis.kernel_size / axis.stride) * axis.stride
    return tuple(sorted({size for size in (below, above) if size}))


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
            f"{text}. Stride {s} and dilation {d} share the factor {common}, so that only one output row in {common} "
            "gets anything, whatever the kernel; a dilation without it would do."
        )
    return f"{text}. Kernel {k} is no multiple of stride {s}; {' or '.join(map(str, evens))} would be even."
