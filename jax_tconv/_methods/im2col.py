"""One matrix product an output residue: the input's patches that meet there, with the taps that they meet.

The patches of K. Chellapilla, S. Puri and P. Simard, "High performance convolutional neural networks for document
processing" (2006), taken residue by residue (`residues.py`), so that no zero is multiplied: none between rows, no tap
that pads the kernel, no row that the padding takes off. Where the kernel has many taps, one product makes all
phases (`phases.py`) of a block instead, in a program that does not grow with them.

It has no form of C and W: `col2im` has the patches for those.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods import subpixel
from jax_tconv._methods.grouping import over_groups
from jax_tconv._methods.polyphase import block_matrix, phases
from jax_tconv._methods.products import product
from jax_tconv._methods.residues import Residue, output, reach, residues
from jax_tconv._methods.rows import padded_rows, rows_at, rows_per_chunk, write_rows

# The program holds a slice for each tap and a product for each residue.
MAX_TERMS = 100
CHUNK_MEGABYTES = 16


@over_groups("T")
def T(x: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The transposed convolution."""
    if max(math.prod(geometry.kernel_size), math.prod(geometry.stride)) > MAX_TERMS:
        if max(geometry.dilation) > 1:
            return subpixel.T(x, kernel, geometry.with_groups(1), precision, accumulate)
        return _by_block(x, kernel, geometry, precision, accumulate)
    terms = {residue: meetings for residue, meetings in residues(geometry) if meetings}
    filters = {residue: jnp.concatenate([kernel[tap] for tap, _ in meetings]) for residue, meetings in terms.items()}

    def parts(near: jax.Array, counts: tuple[int, ...]) -> dict[Residue, jax.Array]:
        patches = {
            residue: lax.concatenate([rows_at(near, starts, counts) for _, starts in meetings], x.ndim - 1)
            for residue, meetings in terms.items()
        }
        return {residue: product(patches[residue], filters[residue], precision, accumulate) for residue in terms}

    counts = [reach(axis).count for axis in geometry.axes]
    sizes = (geometry.groups, x.shape[0], *counts, *geometry.kernel_size, kernel.shape[-2])
    return output(x, geometry, rows_per_chunk(counts[0], sizes, x.dtype.itemsize, CHUNK_MEGABYTES), parts)


def _by_block(x: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """T without dilation, all phases of a block in one product; block `m` is the output's rows from `m * stride` on."""
    axes, n, out = phases(geometry), geometry.ndim, kernel.shape[-1]
    taps, stride = [axis.taps for axis in axes], geometry.stride
    weights = block_matrix(kernel, geometry)
    # The first rows of the output may be the last of a block; then a block more covers the same number of rows.
    skipped, cut = divmod(geometry.padding_low[0], stride[0])
    more = 1 if cut else 0
    count = -(-geometry.output_size[0] // stride[0])
    overhang = (taps[0] - 1 - skipped, count + skipped + more - geometry.input_size[0])

    def compute(start: Any, rows: int) -> jax.Array:
        here = (rows + more, *(axis.blocks for axis in axes[1:]))
        near = padded_rows(
            x, start + skipped - taps[0] + 1, here[0] + taps[0] - 1, overhang, [(t - 1, t - 1) for t in taps[1:]]
        )
        # Tap j of block m meets input row m - j.
        met = [rows_at(near, [t - 1 - j for t, j in zip(taps, tap, strict=True)], here) for tap in np.ndindex(*taps)]
        blocks = product(lax.concatenate(met, n + 1), weights, precision, accumulate)
        blocks = blocks.reshape(x.shape[0], *here, *stride, out)
        blocks = blocks.transpose(0, *(a for axis in range(n) for a in (1 + axis, 1 + n + axis)), 1 + 2 * n)
        y = blocks.reshape(x.shape[0], *(size * s for size, s in zip(here, stride, strict=True)), out)
        edges = [
            (-axis.padding_low, axis.output_size + axis.padding_low - size, 0)
            for axis, size in zip(geometry.axes[1:], y.shape[2:], strict=False)
        ]
        first = (-cut, rows * stride[0] + cut - y.shape[1], 0)
        return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), first, *edges, (0, 0, 0)])

    sizes = (geometry.groups, x.shape[0], count, *(axis.blocks for axis in axes[1:]), sum(weights.shape))
    rows = rows_per_chunk(count, sizes, x.dtype.itemsize, CHUNK_MEGABYTES)
    return lax.slice_in_dim(write_rows(count, rows, compute, stride[0]), 0, geometry.output_size[0], axis=1)
