"""One matrix product, every input pixel with the whole kernel, then overlap-add into the output; and its adjoints.

The way PyTorch, Caffe and cuDNN's GEMM algorithms compute it (K. Chellapilla, S. Puri and P. Simard, "High performance
convolutional neural networks for document processing", 2006, for the convolution it is the adjoint of). Where kernel
and stride are equal nothing overlaps, and the product is all there is. The gradients multiply the cotangent's patches,
what each input pixel meets, with the kernel and with the input; on several devices `aligned.py` makes the patches.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_tconv._call.call import Call, Op
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods import aligned, polyphase
from jax_tconv._methods.polyphase import Residue, reach
from jax_tconv._methods.products import Sums, over_groups
from jax_tconv._methods.rows import cotangent_rows, padded_rows, rows_at, rows_met, rows_per_chunk, sum_rows, write_rows

# Up to so many taps are added slice by slice, of which the program holds one each.
MAX_SLICES = 64
# The output is made in chunks of the last above the first, or above the second where nothing overlaps: below, what
# chunks cost is more than what they save (rows at the seams are multiplied twice, and one core alone writes a chunk
# into its place).
WHOLE_MEGABYTES, WHOLE_APART_MEGABYTES, CHUNK_MEGABYTES = 12, 24, 8
PATCH_MEGABYTES = 4
# A sixteenth of the product, at most, is computed twice.
MIN_ROWS_PER_SEAM = 16


def variant(op: Op, call: Call) -> str:
    """How the products are added, `skewed`, `apart` or `slices`; how patches are made, at once or `axis by axis`, which
    may be `aligned`.
    """
    if op == "forward":
        return _addition(call.geometry)
    return "aligned patches" if call.several_devices else _gathering(call.geometry)


def _addition(geometry: Geometry) -> str:
    extents = [axis.count + axis.high - axis.low for axis in map(reach, geometry.axes)]
    # The sum of slices multiplies the zeros around the input too: many, where a few pixels make a large output.
    many_zeros = math.prod(extents) > 2 * math.prod(geometry.input_size)
    if many_zeros or math.prod(geometry.kernel_size) > MAX_SLICES:
        return "skewed"
    apart = all(k == s and d == 1 and low == 0 for _, k, _, s, d, low in geometry.axes)
    return "apart" if apart else "slices"


def _gathering(geometry: Geometry) -> str:
    return "patches" if math.prod(geometry.kernel_size) <= MAX_SLICES else "axis by axis"


@over_groups("forward")
def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The transposed convolution."""
    add = {"skewed": _skewed, "apart": _apart, "slices": _slices}[_addition(geometry)]
    return add(x, kernel, geometry, sums)


def _slices(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The input padded before the product, so that each output row is a sum of plain slices."""
    out = kernel.shape[-1]
    weights = jnp.moveaxis(kernel, -2, 0)

    def parts(near: jax.Array, counts: tuple[int, ...]) -> dict[Residue, jax.Array]:
        columns = sums.product(near, weights)
        return {
            residue: functools.reduce(
                lax.add, [rows_at(columns[(..., *tap, slice(None))], starts, counts) for tap, starts in meetings]
            )
            for residue, meetings in polyphase.residues(geometry)
            if meetings
        }

    itemsize = jnp.dtype(sums.dtype).itemsize
    rows = reach(geometry.axes[0]).count if sums.whole else chunk_rows(geometry, x.shape[0], out, itemsize)
    return polyphase.by_residue(x, geometry, rows, parts)


def chunk_rows(geometry: Geometry, batch: Any, c_out: int, itemsize: int) -> int:
    """How many of the first axis's `reach` the sum of slices takes at a time; `c_out` is one group's."""
    met = [reach(axis) for axis in geometry.axes]
    sizes = (geometry.groups, batch, *(axis.count for axis in met), *geometry.kernel_size, c_out)
    return rows_per_chunk(met[0].count, sizes, itemsize, CHUNK_MEGABYTES, whole=WHOLE_MEGABYTES)


def mostly_seams(geometry: Geometry, batch: Any, c_out: int, itemsize: int = 4) -> bool:
    """Whether chunks have so few rows that many are multiplied twice: those that two chunks need."""
    first = reach(geometry.axes[0])
    rows = chunk_rows(geometry, batch, c_out, itemsize)
    return rows < min(first.count, MIN_ROWS_PER_SEAM * (first.high - first.low))


def _apart(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """Kernel and stride equal: products that make whole rows of the last axis, side by side already."""
    *outer, last, c_in, c_out = kernel.shape
    weights = {tap: jnp.moveaxis(kernel[tap], 0, 1).reshape(c_in, last * c_out) for tap in np.ndindex(*outer)}
    edges = [(0, out - n * s, 0) for n, _, out, s, _, _ in geometry.axes[1:]]

    def compute(start: Any, rows: int) -> jax.Array:
        near = padded_rows(x, start, rows, (0, 0))
        parts = {}
        for tap, weight in weights.items():
            row = sums.product(near, weight)
            parts[(*tap, 0)] = row.reshape(*row.shape[:-2], row.shape[-2] * last, c_out)
        y = polyphase.interleave(parts, (*outer, 1))
        return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), (0, 0, 0), *edges, (0, 0, 0)])

    n_rows, itemsize = geometry.input_size[0], jnp.dtype(sums.dtype).itemsize
    sizes = (geometry.groups, x.shape[0], *geometry.input_size, *geometry.kernel_size, c_out)
    rows = sums.rows_per_chunk(n_rows, sizes, itemsize, CHUNK_MEGABYTES, whole=WHOLE_APART_MEGABYTES)
    y = write_rows(n_rows, rows, compute, geometry.stride[0])
    below = (0, geometry.output_size[0] - y.shape[1], 0)
    return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), below] + [(0, 0, 0)] * geometry.ndim)


def _skewed(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """Nothing padded before the product, and a program that does not grow with the taps."""
    n = geometry.ndim
    weights = jnp.moveaxis(polyphase.split_taps(kernel, geometry), -2, 0)
    columns = sums.product(x, weights)
    for axis, phase in enumerate(polyphase.phases(geometry)):
        # (..., rows, ..., taps, phase, ...) to (..., blocks, ..., phase, ...): the axis's taps are added and gone.
        columns = _overlap_add(jnp.moveaxis(columns, 1 + n + axis, 1 + axis), 1 + axis, phase)
    return polyphase.place(columns, geometry)


def _overlap_add(columns: jax.Array, axis: int, phase: polyphase.Phases) -> jax.Array:
    """`(..., taps, rows, ...)`, taps on `axis`, as `(..., blocks, ...)`: tap `j` is added `j * dilation` rows on."""
    taps, rows, shift = phase.taps, columns.shape[axis + 1], phase.dilation
    before, after = columns.shape[:axis], columns.shape[axis + 2 :]
    # Rows padded by `taps * shift` and then read as if padded by one `shift` less: each tap starts that much later.
    padded = jnp.pad(columns, [(0, 0)] * (axis + 1) + [(0, taps * shift)] + [(0, 0)] * len(after))
    flat = padded.reshape(*before, taps * (rows + taps * shift), *after)
    skewed = lax.slice_in_dim(flat, 0, taps * phase.blocks, axis=axis).reshape(*before, taps, phase.blocks, *after)
    return skewed.sum(axis)


@over_groups("input_gradient")
def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The strided convolution."""
    if sums.split:
        return aligned.input_gradient(g, kernel, geometry, sums)
    # Patches are ordered (*taps, out).
    weights = jnp.moveaxis(kernel, -1, -2)
    weights = weights.reshape(math.prod(weights.shape[:-1]), weights.shape[-1])

    def compute(start: Any, rows: int) -> jax.Array:
        return sums.product(_patches(g, start, rows, geometry), weights)

    return write_rows(geometry.input_size[0], _patch_rows(g, geometry, sums), compute)


@over_groups("kernel_gradient")
def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The kernel gradient."""
    if sums.split:
        return aligned.kernel_gradient(x, g, geometry, sums)

    def compute(start: Any, rows: int, beyond: int) -> jax.Array:
        pixels = padded_rows(x, start, rows, (0, beyond))
        return sums.gram(pixels, _patches(g, start, rows, geometry, beyond))

    total = sum_rows(geometry.input_size[0], _patch_rows(g, geometry, sums), compute)
    return jnp.moveaxis(total.reshape(x.shape[-1], *geometry.kernel_size, g.shape[-1]), 0, -2)


def _patch_rows(g: jax.Array, geometry: Geometry, sums: Sums) -> int:
    sizes = (geometry.groups, g.shape[0], *geometry.input_size, *geometry.kernel_size, g.shape[-1])
    return sums.rows_per_chunk(geometry.input_size[0], sizes, g.dtype.itemsize, PATCH_MEGABYTES)


def _patches(g: jax.Array, start: Any, rows: int, geometry: Geometry, beyond: int = 0) -> jax.Array:
    """`(batch, rows, *input_size[1:], *taps * out)`: what these rows of input pixels meet in the cotangent."""
    patches = cotangent_rows(g, start, rows, geometry, beyond)
    sizes = (rows, *geometry.input_size[1:])
    if _gathering(geometry) == "patches":
        taps = [rows_met(patches, tap, sizes, geometry) for tap in np.ndindex(*geometry.kernel_size)]
        return lax.concatenate(taps, g.ndim - 1)
    # The last axis first, so that the program holds the sum of the axes' taps and not their product.
    for axis, (n, k, _, s, d, _) in reversed(list(enumerate(geometry.axes))):
        extent = ((rows if axis == 0 else n) - 1) * s + 1
        taps = [lax.slice_in_dim(patches, t * d, t * d + extent, s, 1 + axis) for t in range(k)]
        patches = lax.concatenate(taps, patches.ndim - 1)
    return patches
