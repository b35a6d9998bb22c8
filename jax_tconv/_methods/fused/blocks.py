"""What both kernels share: how arrays are cut into blocks, the copy of one to the core, and the call of a kernel."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from jax_tconv._call.call import RESULT, Call, Op
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.polyphase import reach
from jax_tconv._methods.products import Sums
from jax_tconv._methods.rows import MEGABYTE, varying_type

# Rows of a product: enough to hide the loading of a tap's weights, few enough to keep their sums on the core. And
# pushes of 8 rows through the matrix unit in all: a step's stand in the program one by one, and take time to compile.
PRODUCT_ROWS, PUSHES = 512, 4096
# Rows of a tile, in two bytes each, and its columns.
SUBLANES, LANES = 16, 128
# Of the core's 128 megabytes; a step's blocks are there twice, since the next one's are loaded meanwhile.
MEGABYTES = 96


def chunks(channels: int) -> list[Any]:
    """The channels by the width of a tile: rows are read and stored apart in arrays of that width only."""
    return [pl.ds(start, min(LANES, channels - start)) for start in range(0, channels, LANES)]


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
        tiles = math.prod(geometry.kernel_size) * len(chunks(c_in)) * len(chunks(c_out))
        rows = max(1, min(first, min(PRODUCT_ROWS, 8 * PUSHES // tiles) // math.prod(whole)))
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


def load(blocks: Blocks, array: Any, near: Any, widths: Sequence[Any]) -> None:
    """Copies what a step meets of a block into `near`, channels in chunks of `widths`; zeros where nothing is."""
    first, read = blocks.first_row(pl.program_id(1)), blocks.first_row_read(pl.program_id(1))
    sources, targets = [], []
    for low, size, room in zip(blocks.lows[1:], blocks.size[1:], blocks.near[1:], strict=True):
        start = max(low, 0)
        length = min(size, room + low) - start
        if length <= 0:
            return
        sources.append(pl.ds(start, length))
        targets.append(pl.ds(start - low, length))
    for number in range(blocks.near[0]):
        there = (first + number >= 0) & (first + number < blocks.size[0])
        at = jnp.clip(first - read + number, 0, blocks.read - 1)
        for chunk, lanes in enumerate(widths):
            rows = array[(0, at, *sources, lanes)].astype(near.dtype)
            near[(chunk, number, *targets, pl.ds(0, lanes.size))] = jnp.where(there, rows, jnp.zeros_like(rows))


def call_kernel(
    op: Op,
    step: Callable[..., None],
    operand: jax.Array,
    kernel: jax.Array,
    geometry: Geometry,
    sums: Sums,
    scratch: Callable[[Blocks, Any], list[tuple[Any, Any]]],
    interpret: bool,
) -> jax.Array:
    """The result of `op`: `step` for each block of each example; `scratch` gives shapes and dtypes of its arrays."""
    blocks = Blocks.of(op, geometry, *kernel.shape[-2:])
    channels = kernel.shape[-1] if op == "forward" else kernel.shape[-2]
    precision = _precision(sums, operand)
    dtype = jnp.bfloat16 if precision is None else operand.dtype
    read, written = (blocks.read, *blocks.size[1:]), (blocks.written, *blocks.results[1:])
    zeros = (0,) * (len(read))
    return pl.pallas_call(
        functools.partial(step, geometry, blocks, precision),
        grid=(operand.shape[0], blocks.steps),
        in_specs=[
            pl.BlockSpec(
                tuple(map(pl.Element, (1, *read, operand.shape[-1]))),
                lambda example, step: (example, blocks.first_row_read(step), *zeros),
            ),
            pl.BlockSpec(kernel.shape, lambda example, step: (0,) * kernel.ndim),
        ],
        out_specs=pl.BlockSpec((1, *written, channels), lambda example, step: (example, step, *zeros)),
        out_shape=varying_type(operand, (operand.shape[0], *blocks.results, channels), sums.dtype),
        scratch_shapes=[
            pltpu.VMEM(kernel.shape, dtype),
            *(pltpu.VMEM(shape, kind) for shape, kind in scratch(blocks, dtype)),
        ],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("arbitrary", "arbitrary"), vmem_limit_bytes=MEGABYTES * MEGABYTE
        ),
        name=f"conv_transpose_{RESULT[op]}_{operand.shape[0] * blocks.steps}_steps",
        interpret=interpret,
    )(operand, kernel)


def _precision(sums: Sums, operand: jax.Array) -> lax.Precision | None:
    """None for one product in bfloat16, which XLA, too, makes of float32 by default; else the highest there is."""
    asked = sums.precision if isinstance(sums.precision, tuple) else (sums.precision,)
    default = all(one is None or one == lax.Precision.DEFAULT for one in asked)
    return None if default or operand.dtype == jnp.bfloat16 else lax.Precision.HIGHEST


def first_step() -> Any:
    """Whether this is the first of all blocks."""
    return (pl.program_id(0) == 0) & (pl.program_id(1) == 0)


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
    held = _megabytes(op, call)
    return f"it would hold {held:,.0f} MB on the core, and takes up to {MEGABYTES}" if held > MEGABYTES else None


def _megabytes(op: Op, call: Call) -> float:
    """What a step holds: its blocks of operand, kernel and result twice, and the copies that it works on."""
    blocks = Blocks.of(op, call.geometry, call.group_in, call.group_out)
    read, made = (-(-channels // LANES) * LANES for channels in (call.group_in, call.group_out))
    read, made = (read, made) if op == "forward" else (made, read)
    operand = 2 * math.prod((blocks.read, *blocks.size[1:])) + math.prod(blocks.near)
    result = 3 * math.prod((blocks.written, *blocks.results[1:])) + 2 * math.prod(blocks.counts)
    return 4 * (operand * read + result * made + 3 * call.taps * read * made) / MEGABYTE
