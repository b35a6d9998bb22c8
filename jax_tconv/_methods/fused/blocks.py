"""How the kernels cut their arrays into blocks, and what they cannot take: ints only."""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp

from jax_tconv._call.call import Call, Op
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.polyphase import reach
from jax_tconv._methods.rows import MEGABYTE

# Rows of a product: enough to hide the loading of a tap's weights, few enough to keep their sums on the core. And
# pushes of 8 rows through the matrix unit in all: a step's stand in the program one by one, and take time to compile.
PRODUCT_ROWS, PUSHES = 512, 4096
# Where one row of the first axis takes more than that, so much more a step may take. And tiles of the kernel's, which
# the program loads one by one too.
MOST, KERNEL_TILES = 2, 256
# Rows of a tile, in two bytes each, and its columns.
SUBLANES, LANES = 16, 128
# Of the core's memory, which has 64 megabytes at least from v5e on.
MEGABYTES = 48


def tiles(channels: int) -> int:
    """How many tiles so many channels take."""
    return -(-channels // LANES)


@dataclasses.dataclass(frozen=True)
class Blocks:
    """How one example is cut along its first axis.

    A step takes `counts` rows of each axis's products, all of them of the axes after the first and the last of these in
    whole tiles. They meet `near` rows of the operand, from `lows` on and `advance` further with each step; it has
    `size` rows. `written` is how many rows of the result a step makes, of the `results` on each axis.
    """

    counts: tuple[int, ...]
    lows: tuple[int, ...]
    near: tuple[int, ...]
    size: tuple[int, ...]
    results: tuple[int, ...]
    steps: int
    advance: int
    written: int

    @classmethod
    def of(cls, op: Op, geometry: Geometry, c_in: int, c_out: int) -> "Blocks":
        """Those of an op; of the forward op's products, each is of one value of `q` (`polyphase.py`)."""
        met = [reach(axis) for axis in geometry.axes]
        forward = op == "forward"
        first, *inner, last = (axis.count for axis in met) if forward else geometry.input_size
        whole = (*inner, -(-last // SUBLANES) * SUBLANES)
        pushed = math.prod(geometry.kernel_size) * tiles(c_in) * tiles(c_out)
        rows = max(1, min(first, min(PRODUCT_ROWS, 8 * PUSHES // pushed) // math.prod(whole)))
        counts, stride = (rows, *whole), geometry.stride[0]
        if forward:
            near = [count + axis.high - axis.low for count, axis in zip(counts, met, strict=True)]
            lows, sizes = [axis.low for axis in met], (geometry.input_size, geometry.output_size)
        else:
            axes = zip(counts, geometry.axes, strict=True)
            near = [(n - 1) * axis.stride + (axis.kernel_size - 1) * axis.dilation + 1 for n, axis in axes]
            lows, sizes = [-low for low in geometry.padding_low], (geometry.output_size, geometry.input_size)
        advance, written = (rows, rows * stride) if forward else (rows * stride, rows)
        return cls(counts, tuple(lows), tuple(near), *sizes, -(-first // rows), advance, written)

    @property
    def read(self) -> int:
        """How many rows of the operand a step reads."""
        return min(self.near[0], self.size[0])

    def first_row(self, step: Any) -> Any:
        """The first of the operand's rows that a step meets, there or not."""
        return step * self.advance + self.lows[0]

    def first_row_read(self, step: Any) -> Any:
        """The first row that it reads: the same, moved to where all that it reads are there."""
        return jnp.clip(self.first_row(step), 0, self.size[0] - self.read)


def limit(op: Op, call: Call) -> str | None:
    """Why the kernel of `op` does not take this call, or None."""
    if call.several_devices:
        return "the compiler cannot split it over several devices; call it inside jax.shard_map"
    if call.geometry.ndim < 2:
        return "it takes two spatial axes or more"
    if not all(isinstance(size, int) and size for size in call.batch_shape):
        return "it takes a batch of a known size, of one example at least"
    dtypes = {call.dtype, call.result_dtype}
    if not dtypes <= {"float32", "bfloat16"}:
        return f"it takes float32 and bfloat16, got {' and '.join(sorted(dtypes))}"
    loaded = call.taps * tiles(call.group_in) * tiles(call.group_out)
    if loaded > KERNEL_TILES:
        return f"its kernel has {loaded:,} tiles of {LANES} x {LANES} values, up to {KERNEL_TILES}"
    pushes = math.prod(Blocks.of(op, call.geometry, call.group_in, call.group_out).counts) // 8 * loaded
    if pushes > MOST * PUSHES:
        return f"one row of its first axis takes {pushes:,} pushes through the matrix unit, up to {MOST * PUSHES:,}"
    held = megabytes(op, call.geometry, call.group_in, call.group_out)
    return f"it would hold {held:,.0f} MB on the core, and takes up to {MEGABYTES}" if held > MEGABYTES else None


def megabytes(op: Op, geometry: Geometry, c_in: int, c_out: int) -> float:
    """What a step holds: its blocks of operand and result twice, as the next are moved meanwhile, and its copies."""
    blocks = Blocks.of(op, geometry, c_in, c_out)
    read, made = (tiles(channels) * LANES for channels in (c_in, c_out))
    read, made = (read, made) if op == "forward" else (made, read)
    operand = 2 * math.prod((blocks.read, *blocks.size[1:])) + math.prod(blocks.near)
    result = 3 * math.prod((blocks.written, *blocks.results[1:])) + 2 * math.prod(blocks.counts)
    return 4 * (operand * read + result * made + 2 * math.prod(geometry.kernel_size) * read * made) / MEGABYTE
