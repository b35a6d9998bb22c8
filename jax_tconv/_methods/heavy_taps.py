"""The products of `taps` for a heavy kernel, one of more channels than there are pixels: all in one batched product.

The kernel is by far the largest array, and a product that is batched over its taps reads it, or writes its gradient, as
it is stored, where one with all taps in a row or a column would turn it over first.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.products import Sums, over_groups
from jax_tconv._methods.rows import cotangent_rows, rows_met


@over_groups("forward")
def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The transposed convolution: each tap's products, padded to where they land, and added."""
    taps = list(np.ndindex(*geometry.kernel_size))
    products = sums.einsum("tpI,tIO->tpO", _flat_for_each(len(taps), x), kernel.reshape(len(taps), *kernel.shape[-2:]))
    products = products.reshape(len(taps), *x.shape[:-1], products.shape[-1])
    zero = jnp.zeros((), products.dtype)

    def landed(number: int, tap: Sequence[int]) -> jax.Array:
        edges = []
        for t, (n, _, out, stride, dilation, low) in zip(tap, geometry.axes, strict=True):
            first = t * dilation - low
            edges.append((first, out - first - (n - 1) * stride - 1, stride - 1))
        return lax.pad(products[number], zero, [(0, 0, 0), *edges, (0, 0, 0)])

    return functools.reduce(lax.add, (landed(number, tap) for number, tap in enumerate(taps)))


@over_groups("input_gradient")
def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The strided convolution."""
    met = _rows_met_by_taps(g, geometry)
    # Summed over the taps only after the products: in one sum with the channels it would turn the kernel over.
    x = sums.einsum("tpO,tIO->tpI", met, kernel.reshape(met.shape[0], *kernel.shape[-2:])).sum(0)
    return x.reshape(g.shape[0], *geometry.input_size, x.shape[-1])


@over_groups("kernel_gradient")
def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The kernel gradient."""
    met = _rows_met_by_taps(g, geometry)
    gradient = sums.einsum("tpI,tpO->tIO", _flat_for_each(met.shape[0], x), met)
    return gradient.reshape(*geometry.kernel_size, *gradient.shape[1:])


def _rows_met_by_taps(g: jax.Array, geometry: Geometry) -> jax.Array:
    """`(taps, pixels, out)`: what the input pixels meet with each tap."""
    near = cotangent_rows(g, 0, geometry.input_size[0], geometry)
    met = jnp.stack([rows_met(near, tap, geometry.input_size, geometry) for tap in np.ndindex(*geometry.kernel_size)])
    return met.reshape(met.shape[0], math.prod(met.shape[1:-1]), met.shape[-1])


def _flat_for_each(taps: int, x: jax.Array) -> jax.Array:
    """`(taps, pixels, in)`: as a batch of products it leaves the kernel, the other operand, as it is stored."""
    flat = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return jnp.broadcast_to(flat, (taps, *flat.shape))
