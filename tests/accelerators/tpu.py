"""What a compiled TPU program takes, from its text: the compiler's own cycles, and bytes in memory with tiles padded.

`cost_analysis` does not say it: its flops skip the zeros of a dilated image, which the hardware multiplies.
`estimated_cycles` are calibrated: those of an 8192 x 8192 matrix product come to 88% of a v5e's peak.
"""

import math
import re
from collections.abc import Mapping

from tests.accelerators.hlo import ITEMSIZE, Array, Program

# Started here and waited for elsewhere: only what they move counts.
STARTS = ("copy-start", "slice-start", "async-start")
KERNEL = 'custom_call_target="tpu_custom_call"'
# The compiler's word for cycles that it does not know.
UNKNOWN = 2**60


def padded_bytes(array: Array) -> int:
    """Bytes in the chip's memory, where the two minor dimensions fill whole tiles; none for what stays on the core."""
    order, _, rest = array.layout.partition(":")
    if "S(" in rest:
        return 0
    minor_first = [array.shape[int(axis)] for axis in order.split(",") if axis] or list(array.shape[::-1])
    tile = re.search(r"T\((?:(\d+),)?(\d+)\)", rest)
    if tile and minor_first:
        sizes = [int(tile[2]), int(tile[1] or 1)]
        for axis, size in enumerate(sizes[: len(minor_first)]):
            minor_first[axis] = -(-minor_first[axis] // size) * size
    return ITEMSIZE[array.dtype] * math.prod(minor_first)


def kernels(program: Program) -> bool:
    """Whether the program has Pallas kernels, whose cycles stand elsewhere."""
    return any(KERNEL in one.attributes for one in program.everywhere())


def seconds(program: Program, clock: float, bandwidth: float, of_kernels: Mapping[str, int]) -> float:
    """The estimate: each instruction takes the larger of its cycles and its bytes, and all of them at least theirs.

    ValueError for a scatter, whose cycles the compiler does not tell.
    """
    total = moved = 0.0
    for one, read, times in program.runs():
        made = sum(map(padded_bytes, one.arrays))
        if one.opcode in STARTS:
            moved += times * made
            continue
        if one.opcode == "scatter":
            raise ValueError(f"nothing tells what a scatter takes: {one.name}")
        cycles = int(one.attribute(r'"estimated_cycles":"(\d+)"') or 0)
        if KERNEL in one.attributes:
            cycles = of_kernels[one.name]
        nbytes = made + sum(map(padded_bytes, read))
        total += times * max(cycles / clock if cycles < UNKNOWN else 0, nbytes / bandwidth)
        moved += times * nbytes
    return max(total, moved / bandwidth)
