"""Each output phase as a small dense convolution of the input, then an interleave: no zeros are ever inserted.

After W. Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
neural network" (2016), and "Is the deconvolution layer the same as a convolutional layer?" (2016). All phases together
are one convolution with `stride` times as many output channels on each axis: the program does not grow with the stride.
On several devices they are a few, one for each class of residues (`aligned.py`).

The gradients take the interleave back, space to depth: a block of the cotangent, all phases of it, is one row of a
matrix product, and nothing of the size of its patches is held.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods import aligned
from jax_tconv._methods.polyphase import block_matrix, block_patches, join_taps, phases, place, rows_of
from jax_tconv._methods.products import Sums, kernel_by_output_channel, over_groups
from jax_tconv._methods.rows import padded_rows, rows_at, sum_rows, write_rows

CHUNK_MEGABYTES = 4


def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The transposed convolution."""
    if sums.split and geometry.groups == 1:
        return aligned.forward(x, kernel, geometry, functools.partial(_by_class, geometry, sums))
    axes, n, groups = phases(geometry), geometry.ndim, geometry.groups
    c_out = kernel.shape[-1]
    counts = [axis.count for axis in axes]
    # The phases are more output channels.
    filters = block_matrix(kernel, geometry).reshape(*(axis.taps for axis in axes), kernel.shape[-2], -1)
    y = sums.convolution(
        x,
        # A convolution pairs block m with input row m - j * d: the taps run backwards.
        lax.rev(kernel_by_output_channel(filters, groups), tuple(range(n))),
        ("N*C", "*IO", "N*C"),
        window_strides=(1,) * n,
        padding=[(axis.around, axis.around) for axis in axes],
        rhs_dilation=[axis.dilation for axis in axes],
        feature_group_count=groups,
    )
    blocks = y.reshape(*y.shape[:-1], groups, *counts, c_out)
    blocks = blocks.transpose(*range(n + 1), *range(n + 2, 2 * n + 2), n + 1, 2 * n + 2)
    return place(blocks.reshape(*blocks.shape[: 2 * n + 1], groups * c_out), geometry)


def _by_class(
    geometry: Geometry, sums: Sums, shifted: aligned.Shifted, chosen: aligned.Chosen, weights: jax.Array
) -> jax.Array:
    n, sizes = geometry.ndim, weights.shape[geometry.ndim : -2]
    # Channels out come before the residues, so that the axis of both is split where the channels are. The taps run
    # backwards: shifts fall as taps rise.
    filters = lax.rev(weights.transpose(*range(n), -2 % weights.ndim, weights.ndim - 1, *range(n, 2 * n)), range(n))
    pads, spacings = [], []
    for axis, (_, shifts, _) in zip(geometry.axes, chosen, strict=True):
        pads.append((-shifts[-1], shifts[0] + rows_of(axis) - axis.input_size))
        spacings.append(shifts[0] - shifts[1] if len(shifts) > 1 else 1)
    y = sums.convolution(
        shifted(()),
        filters.reshape(*filters.shape[: n + 1], math.prod(filters.shape[n + 1 :])),
        ("N*C", "*IO", "N*C"),
        window_strides=(1,) * n,
        padding=pads,
        rhs_dilation=spacings,
    )
    return jnp.moveaxis(y.reshape(*y.shape[:-1], weights.shape[-1], *sizes), 1 + n, -1)


@over_groups("input_gradient")
def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The strided convolution: blocks with the whole kernel, whose taps are then added, `dilation` blocks apart."""
    axes, c_in = phases(geometry), kernel.shape[-2]
    taps = [axis.taps for axis in axes]
    weights = block_matrix(kernel, geometry).T
    one_channel = kernel.shape[-2:] == (1, 1)

    def compute(start: Any, rows: int) -> jax.Array:
        blocks = _blocks(g, start, rows + axes[0].around, geometry)
        blocks = sums.apart(blocks) if one_channel else blocks
        columns = sums.product(blocks, weights)
        columns = columns.reshape(*blocks.shape[:-1], *taps, c_in)
        here = (rows, *geometry.input_size[1:])
        terms = (
            rows_at(
                columns[(..., *tap, slice(None))], [j * axis.dilation for j, axis in zip(tap, axes, strict=True)], here
            )
            for tap in np.ndindex(*taps)
        )
        return functools.reduce(lax.add, terms)

    n_rows = geometry.input_size[0]
    sizes = (geometry.groups, g.shape[0], *geometry.input_size, sum(weights.shape))
    return write_rows(n_rows, sums.rows_per_chunk(n_rows, sizes, g.dtype.itemsize, CHUNK_MEGABYTES), compute)


@over_groups("kernel_gradient")
def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The kernel gradient: what each block meets in the input, with the block."""
    axes, n = phases(geometry), geometry.ndim
    around, one_channel = axes[0].around, x.shape[-1] == g.shape[-1] == 1

    def compute(start: Any, rows: int, beyond: int) -> jax.Array:
        near = block_patches(x, start, rows, geometry, (around, around + beyond))
        near, blocks = sums.apart(near), _blocks(g, start, rows, geometry, beyond)
        return sums.apart(sums.gram(near, sums.apart(blocks))) if one_channel else sums.gram(near, blocks)

    counts, taps, phase = ([getattr(axis, name) for axis in axes] for name in ("blocks", "taps", "count"))
    held = math.prod(taps) * x.shape[-1] + math.prod(phase) * g.shape[-1]
    sizes = (geometry.groups, g.shape[0], *counts, held)
    rows = sums.rows_per_chunk(counts[0], sizes, g.dtype.itemsize, CHUNK_MEGABYTES)
    total = sum_rows(counts[0], rows, compute).reshape(*taps, x.shape[-1], *phase, g.shape[-1])
    # (*taps, in, *phase, out) to (taps, phase, ..., in, out).
    pairs = (a for axis in range(n) for a in (axis, n + 1 + axis))
    return join_taps(total.transpose(*pairs, n, 2 * n + 1), geometry)


def _blocks(g: jax.Array, start: Any, rows: int, geometry: Geometry, beyond: int = 0) -> jax.Array:
    """`(batch, rows, *blocks[1:], *phase * out)`, the blocks of the cotangent from `start` on: `place`, undone."""
    axes, n = phases(geometry), geometry.ndim
    counts = [rows, *(axis.blocks for axis in axes[1:])]

    def extent(number: int, blocks: int) -> int:
        # Phase u of block m is row m * stride + u * dilation - padding_low.
        axis = geometry.axes[number]
        return (blocks - 1) * axis.stride + (axes[number].count - 1) * axis.dilation + 1

    pads = [
        (axis.padding_low, extent(number, axes[number].blocks) - axis.padding_low - axis.output_size)
        for number, axis in enumerate(geometry.axes)
    ]
    first, overhang = geometry.axes[0], (pads[0][0], pads[0][1] + beyond * geometry.stride[0])
    array = padded_rows(g, start * first.stride - first.padding_low, extent(0, rows), overhang, pads[1:])
    if set(geometry.dilation) == {1}:
        split = (size for count, axis in zip(counts, axes, strict=True) for size in (count, axis.count))
        array = array.reshape(g.shape[0], *split, g.shape[-1])
        array = array.transpose(0, *range(1, 2 * n, 2), *range(2, 2 * n + 1, 2), 2 * n + 1)
        return array.reshape(g.shape[0], *counts, math.prod(array.shape[n + 1 :]))
    for number in reversed(range(n)):
        axis = geometry.axes[number]
        starts = [u * axis.dilation for u in range(axes[number].count)]
        length = (counts[number] - 1) * axis.stride + 1
        rows_of_phases = [lax.slice_in_dim(array, u, u + length, axis.stride, 1 + number) for u in starts]
        array = lax.concatenate(rows_of_phases, n + 1)
    return array
