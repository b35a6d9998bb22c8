"""What both kernels share: the copy of a block to the core, its channels in chunks, and the call of a kernel."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from jax_tconv._call.call import RESULT, Op
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.fused.blocks import LANES, Blocks, megabytes
from jax_tconv._methods.products import Sums
from jax_tconv._methods.rows import MEGABYTE, varying_type


def chunks(channels: int) -> list[Any]:
    """The channels by the width of a tile: rows are read and stored apart in arrays of that width only."""
    return [pl.ds(start, min(LANES, channels - start)) for start in range(0, channels, LANES)]


def prepare(kernel: Any, weights: Any, near: Any) -> None:
    """What the first step of all makes for the others: the weights in the products' dtype, and zeros around `near`."""

    @pl.when((pl.program_id(0) == 0) & (pl.program_id(1) == 0))
    def _() -> None:
        weights[...] = kernel[...].astype(weights.dtype)
        near[...] = jnp.zeros(near.shape, near.dtype)


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
    zeros = (0,) * len(read)
    return pl.pallas_call(
        functools.partial(step, geometry, blocks, precision),
        grid=(operand.shape[0], blocks.steps),
        in_specs=[
            pl.BlockSpec(
                tuple(map(pl.Element, (1, *read, operand.shape[-1]))),
                lambda example, step: (example, blocks.first_row_read(step), *zeros),
            ),
            # Once: there is no next one to load.
            pl.BlockSpec(kernel.shape, lambda example, step: (0,) * kernel.ndim, pipeline_mode=pl.Buffered(1)),
        ],
        out_specs=pl.BlockSpec((1, *written, channels), lambda example, step: (example, step, *zeros)),
        out_shape=varying_type(operand, (operand.shape[0], *blocks.results, channels), sums.dtype),
        scratch_shapes=[
            pltpu.VMEM(kernel.shape, dtype),
            *(pltpu.VMEM(shape, kind) for shape, kind in scratch(blocks, dtype)),
        ],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("arbitrary", "arbitrary"),
            # What the compiler takes without being asked, and what it spills.
            vmem_limit_bytes=int((16 + 1.25 * megabytes(op, geometry, *kernel.shape[-2:])) * MEGABYTE),
        ),
        name=f"conv_transpose_{RESULT[op]}_{operand.shape[0] * blocks.steps}_steps",
        interpret=interpret,
    )(operand, kernel)


def _precision(sums: Sums, operand: jax.Array) -> lax.Precision | None:
    """None for one product in bfloat16, which XLA, too, makes of float32 by default; else the highest there is."""
    asked = sums.precision if isinstance(sums.precision, tuple) else (sums.precision,)
    default = all(one is None or one == lax.Precision.DEFAULT for one in asked)
    return None if default or operand.dtype == jnp.bfloat16 else lax.Precision.HIGHEST
