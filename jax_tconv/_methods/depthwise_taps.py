"""The products of `taps` where each group has one channel in and out: multiplications, which XLA fuses.

There the kernel's last axis has one channel, and its axis before that counts the groups.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.polyphase import phases, place, rows_met_by_blocks, split_taps
from jax_tconv._methods.products import Sums, sum_of_terms
from jax_tconv._methods.rows import cotangent_rows, padded_rows, rows_met, sum_rows

# XLA holds the products of each tap.
CHUNK_MEGABYTES = 1


def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums, in_a_loop: bool) -> jax.Array:
    """The transposed convolution."""
    n, axes = geometry.ndim, phases(geometry)
    blocks, counts, taps = ([getattr(axis, name) for axis in axes] for name in ("blocks", "count", "taps"))
    padded = jnp.pad(x.astype(sums.dtype), [(0, 0), *((axis.around, axis.around) for axis in axes), (0, 0)])
    weights = split_taps(kernel.astype(sums.dtype), geometry)
    weights = weights.transpose(*range(0, 2 * n, 2), *range(1, 2 * n, 2), 2 * n, 2 * n + 1)
    weights = weights.reshape(weights.shape[:-1])

    def term(tap: Any) -> jax.Array:
        met = rows_met_by_blocks(padded, tap, blocks, axes)
        # (batch, *blocks, 1, ..., channel) times (*phase, channel).
        return met.reshape(*met.shape[:-1], *(1 for _ in counts), met.shape[-1]) * weights[tuple(tap)]

    return place(sum_of_terms(taps, term, in_a_loop), geometry)


def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums, in_a_loop: bool) -> jax.Array:
    """The strided convolution."""
    near = cotangent_rows(g, 0, geometry.input_size[0], geometry).astype(sums.dtype)
    weights = kernel.reshape(kernel.shape[:-1]).astype(sums.dtype)

    def term(tap: Any) -> jax.Array:
        return rows_met(near, tap, geometry.input_size, geometry) * weights[tuple(tap)]

    return sum_of_terms(geometry.kernel_size, term, in_a_loop)


def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums, in_a_loop: bool) -> jax.Array:
    """The kernel gradient."""
    n_rows, taps, axes = geometry.input_size[0], math.prod(geometry.kernel_size), tuple(range(x.ndim - 1))
    rows = sums.rows_per_chunk(n_rows, x.shape, x.dtype.itemsize, CHUNK_MEGABYTES)

    def compute(start: Any, rows: int, beyond: int) -> jax.Array:
        near, sizes = cotangent_rows(g, start, rows, geometry, beyond), (rows, *geometry.input_size[1:])
        near = near.astype(sums.dtype)
        pixels = padded_rows(x, start, rows, (0, beyond)).astype(sums.dtype)
        gradient = lambda tap: (pixels * rows_met(near, tap, sizes, geometry)).sum(axes)  # noqa: E731
        if in_a_loop:
            return lax.map(lambda number: gradient(jnp.unravel_index(number, geometry.kernel_size)), jnp.arange(taps))
        return jnp.stack([gradient(tap) for tap in np.ndindex(*geometry.kernel_size)])

    return sum_rows(n_rows, rows, compute).reshape(*geometry.kernel_size, x.shape[-1], 1)
