"""One matrix product per output residue: the input's patches that meet there, with the taps that they meet.

The patches of K. Chellapilla, S. Puri and P. Simard, "High performance convolutional neural networks for document
processing" (2006), taken residue by residue (`polyphase.py`), so that no zero is multiplied: none between rows, no tap
that pads the kernel, no row that the padding takes off. Where the kernel has many taps, one product makes all
phases of a block instead, in a program that grows only with the taps of one phase.

It has no form of the gradients: `col2im` has the patches for those.
"""

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_tconv._call.call import Call, Op
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods import aligned, polyphase
from jax_tconv._methods.polyphase import Residue, block_patches, phases, reach, rows_of
from jax_tconv._methods.products import Sums, over_groups
from jax_tconv._methods.rows import rows_at, write_rows

# The program holds a slice for each tap and a product for each residue.
MAX_TERMS = 100
CHUNK_MEGABYTES = 16


def variant(op: Op, call: Call) -> str:
    """`residues`, one product each, or `blocks`, all phases of one in a product, which then may be dilated; on several
    devices `aligned classes` of residues.
    """
    if call.several_devices:
        return "aligned classes"
    geometry = call.geometry
    if max(math.prod(geometry.kernel_size), math.prod(geometry.stride)) <= MAX_TERMS:
        return "residues"
    return "blocks" if max(geometry.dilation) == 1 else "dilated blocks"


@over_groups("forward")
def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The transposed convolution."""
    if sums.split:
        return aligned.forward(x, kernel, geometry, functools.partial(_by_class, sums))
    form = variant("forward", Call.of("forward", x.shape, kernel.shape, geometry))
    compute = {"residues": _by_residue, "blocks": _by_block, "dilated blocks": _by_dilated_block}[form]
    return compute(x, kernel, geometry, sums)


def _by_class(sums: Sums, shifted: aligned.Shifted, chosen: aligned.Chosen, weights: jax.Array) -> jax.Array:
    n = len(chosen)
    patches = jnp.stack([shifted(shifts) for shifts in itertools.product(*(each.shifts for each in chosen))], 1 + n)
    weights = jnp.moveaxis(weights.reshape(patches.shape[1 + n], *weights.shape[n:]), -2, 1)
    return sums.dot(patches, weights, 2)


def _by_residue(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    terms = {residue: meetings for residue, meetings in polyphase.residues(geometry) if meetings}
    filters = {residue: jnp.concatenate([kernel[tap] for tap, _ in meetings]) for residue, meetings in terms.items()}

    def parts(near: jax.Array, counts: tuple[int, ...]) -> dict[Residue, jax.Array]:
        patches = {
            residue: lax.concatenate([rows_at(near, starts, counts) for _, starts in meetings], x.ndim - 1)
            for residue, meetings in terms.items()
        }
        return {residue: sums.product(patches[residue], filters[residue]) for residue in terms}

    counts = [reach(axis).count for axis in geometry.axes]
    sizes = (geometry.groups, x.shape[0], *counts, *geometry.kernel_size, kernel.shape[-2])
    rows = sums.rows_per_chunk(counts[0], sizes, x.dtype.itemsize, CHUNK_MEGABYTES)
    return polyphase.by_residue(x, geometry, rows, parts)


def _by_block(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """Undilated, so that block `m` is the output's rows from `m * stride` on, and chunks of blocks are chunks of it."""
    first, weights = geometry.axes[0], sums.apart(polyphase.block_matrix(kernel, geometry))
    # The first rows of the output may be the last of a block; then a block more covers the same number of rows.
    skipped, cut = divmod(first.padding_low, first.stride)
    more = 1 if cut else 0
    count = rows_of(first)
    overhang = (phases(geometry)[0].around - skipped, count + skipped + more - first.input_size)

    def compute(start: Any, rows: int) -> jax.Array:
        blocks = sums.product(block_patches(x, start + skipped, rows + more, geometry, overhang), weights)
        y = polyphase.depth_to_space(_phases_apart(blocks, geometry), geometry.ndim)
        edges = [
            (-axis.padding_low, axis.output_size + axis.padding_low - size, 0)
            for axis, size in zip(geometry.axes[1:], y.shape[2:], strict=False)
        ]
        here = (-cut, rows * first.stride + cut - y.shape[1], 0)
        return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), here, *edges, (0, 0, 0)])

    y = write_rows(count, _block_rows(count, x, weights, geometry, sums), compute, first.stride)
    return lax.slice_in_dim(y, 0, first.output_size, axis=1)


def _by_dilated_block(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """All blocks first: with dilation the phases of one block lie apart in the output."""
    first, weights = phases(geometry)[0], sums.apart(polyphase.block_matrix(kernel, geometry))

    def compute(start: Any, rows: int) -> jax.Array:
        return sums.product(block_patches(x, start, rows, geometry, (first.around, first.around)), weights)

    blocks = write_rows(first.blocks, _block_rows(first.blocks, x, weights, geometry, sums), compute)
    return polyphase.place(_phases_apart(blocks, geometry), geometry)


def _block_rows(count: int, x: jax.Array, weights: jax.Array, geometry: Geometry, sums: Sums) -> int:
    """How many of `count` rows of blocks are taken at a time."""
    sizes = (geometry.groups, x.shape[0], count, *(axis.blocks for axis in phases(geometry)[1:]), sum(weights.shape))
    return sums.rows_per_chunk(count, sizes, x.dtype.itemsize, CHUNK_MEGABYTES)


def _phases_apart(blocks: jax.Array, geometry: Geometry) -> jax.Array:
    """`(batch, *blocks, *phase * out)` as `(batch, *blocks, *phase, out)`."""
    counts = [axis.count for axis in phases(geometry)]
    return blocks.reshape(*blocks.shape[:-1], *counts, blocks.shape[-1] // math.prod(counts))
