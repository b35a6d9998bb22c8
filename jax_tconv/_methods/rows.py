"""Work done a few rows of the first spatial axis at a time, so that what lies between two steps stays in the cache.

On a CPU an array beyond 32 MB is mapped and page-faulted afresh at every call (glibc's largest mmap threshold), which
costs several times what writing it does; one of a few megabytes is reused, and is still in the cache when it is read.
The chunks are rows and never examples of the batch, so a program whose batch is sharded needs no communication.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from jax_tconv._call.geometry import Geometry

MEGABYTE = 2**20
Pads = Sequence[tuple[int, int]]


def rows_per_chunk(n_rows: int, sizes: Sequence[Any], itemsize: int, megabytes: float, whole: float = 0) -> int:
    """How many of `n_rows` rows to take at a time, so that an array of `sizes` in all comes to `megabytes` per chunk.

    All of them up to `whole` megabytes. A batch whose size is not known (`jax.export`) counts as one example.
    """
    total = math.prod(size for size in sizes if isinstance(size, int)) * itemsize / MEGABYTE
    chunks = 1 if total <= max(whole, megabytes) else min(n_rows, math.ceil(total / megabytes))
    return -(-n_rows // chunks)


def write_rows(n_rows: int, rows: int, compute: Callable[[Any, int], jax.Array], scale: int = 1) -> jax.Array:
    """`compute(start, rows)` for chunk after chunk of `rows` rows, their results side by side on axis 1.

    Each of the `n_rows` rows makes `scale` rows of the result. The last chunk starts early enough to be as large as
    the others; what it computes again, it writes again.
    """
    if rows >= n_rows:
        return compute(0, n_rows)
    chunk = jax.eval_shape(lambda start: compute(start, rows), jnp.int32(0))
    result = _zeros(chunk, (chunk.shape[0], n_rows * scale, *chunk.shape[2:]))

    def step(number: jax.Array, result: jax.Array) -> jax.Array:
        start = jnp.minimum(number * rows, n_rows - rows)
        return lax.dynamic_update_slice_in_dim(result, compute(start, rows), start * scale, 1)

    return lax.fori_loop(0, -(-n_rows // rows), step, result)


def sum_rows(n_rows: int, rows: int, compute: Callable[[Any, int, int], jax.Array]) -> jax.Array:
    """The sum of `compute(start, rows, beyond)` over chunks of `rows` rows, of which `beyond` may lie after the last.

    Those are to add nothing. All chunks run in the loop: XLA would compute one beside it at the same time, holding the
    temporaries of both.
    """
    if rows >= n_rows:
        return compute(0, n_rows, 0)
    chunks = -(-n_rows // rows)
    beyond = chunks * rows - n_rows
    result = jax.eval_shape(lambda start: compute(start, rows, beyond), jnp.int32(0))

    def step(number: jax.Array, total: jax.Array) -> jax.Array:
        return total + compute(number * rows, rows, beyond)

    return lax.fori_loop(0, chunks, step, _zeros(result, result.shape))


def _zeros(result: jax.ShapeDtypeStruct, shape: tuple[int, ...]) -> jax.Array:
    """What a loop starts with whose steps make such results: under `shard_map`, both must vary over the same axes."""
    return vary(jnp.zeros(shape, result.dtype), varying_axes(result))


def varying_axes(array: Any) -> frozenset[str]:
    """The mesh axes that an array, or the type of one, varies over in `shard_map`."""
    return getattr(getattr(array, "manual_axis_type", None), "varying", frozenset())


def varying_type(like: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    """The type of an array that varies over the axes of a `shard_map` that `like` varies over.

    One that did not would be cast where it meets what does, and that cast's transpose is a sum over the devices.
    """
    known = jax.typeof(like)
    if not varying_axes(known):
        return jax.ShapeDtypeStruct(shape, dtype)
    sharding = NamedSharding(known.sharding.mesh, PartitionSpec(*(None,) * len(shape)))
    return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding, manual_axis_type=known.manual_axis_type)


def vary(array: jax.Array, axes: frozenset[str]) -> jax.Array:
    """The array cast so that it varies over these mesh axes too; the cast's transpose is a sum over devices."""
    missing = axes - varying_axes(jax.typeof(array))
    return lax.pcast(array, tuple(sorted(missing)), to="varying") if missing else array


def padded_rows(array: jax.Array, start: ArrayLike, rows: int, overhang: tuple[int, int], pads: Pads = ()) -> jax.Array:
    """Rows `start` to `start + rows` of axis 1, with zeros where there are none; the axes after it padded by `pads`.

    `start` may be known only when the program runs; then `overhang` says how far the rows may lie before the first one
    and beyond the last. Negative pads take off.
    """
    n, zero = array.shape[1], jnp.zeros((), array.dtype)
    rest = [(0, 0, 0), *((low, high, 0) for low, high in pads or [(0, 0)] * (array.ndim - 3)), (0, 0, 0)]
    if isinstance(start, int):
        kept = lax.slice_in_dim(array, min(max(start, 0), n), max(min(start + rows, n), 0), 1, 1)
        before = min(max(0, -start), rows)
        return lax.pad(kept, zero, [rest[0], (before, rows - before - kept.shape[1], 0), *rest[1:]])
    low, high = (max(side, 0) for side in overhang)
    taken = min(rows, n)
    first = jnp.clip(start, 0, n - taken)
    kept = lax.dynamic_slice_in_dim(array, first, taken, 1)
    if not (low or high):
        return lax.pad(kept, zero, [rest[0], (0, 0, 0), *rest[1:]])
    # Row i of the array now stands at low + i - first, with zeros around those that are there.
    low, high = low + rows - taken, high + rows - taken
    kept = lax.pad(kept, zero, [rest[0], (low, high, 0), *rest[1:]])
    return lax.dynamic_slice_in_dim(kept, low + start - first, rows, 1)


def cotangent_rows(g: jax.Array, start: ArrayLike, rows: int, geometry: Geometry, beyond: int = 0) -> jax.Array:
    """The rows of the output cotangent that the input rows `start` to `start + rows` meet, as C pads it.

    `start` may be as large as leaves `beyond` of the rows after the last of the input.
    """
    first = geometry.axes[0]
    pads = list(zip(geometry.padding_low, geometry.padding_high, strict=True))
    extent = (rows - 1) * first.stride + (first.kernel_size - 1) * first.dilation + 1
    overhang = (pads[0][0], pads[0][1] + beyond * first.stride)
    return padded_rows(g, start * first.stride - first.padding_low, extent, overhang, pads[1:])


def rows_met(cotangent: jax.Array, tap: Sequence[Any], sizes: Sequence[int], geometry: Geometry) -> jax.Array:
    """What so many input rows of each axis meet with this tap, which may be known only when the program runs."""
    starts = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
    return rows_at(cotangent, starts, sizes, geometry.stride)


def rows_at(array: jax.Array, starts: Sequence[Any], sizes: Sequence[int], strides: Sequence[int] = ()) -> jax.Array:
    """So many rows of each spatial axis, axes 1 and on, from these on and `strides` apart; starts as for a tap."""
    strides = strides or (1,) * len(sizes)
    extents = [(size - 1) * stride + 1 for size, stride in zip(sizes, strides, strict=True)]
    rest = array.shape[1 + len(sizes) :]
    if not all(isinstance(start, int) for start in starts):
        array = lax.dynamic_slice(array, (0, *starts, *(0 for _ in rest)), (array.shape[0], *extents, *rest))
        starts = [0] * len(sizes)
    limits = [start + extent for start, extent in zip(starts, extents, strict=True)]
    return lax.slice(
        array,
        (0, *starts, *(0 for _ in rest)),
        (array.shape[0], *limits, *rest),
        (1, *strides, *(1 for _ in rest)),
    )
