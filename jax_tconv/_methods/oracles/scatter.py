"""Each input pixel, times the kernel, is added into the output where it lands: the definition in its plainest form.

The picture that tutorials draw; the gradients gather where this scatters. Slow on most machines, and it holds every
product at once: an oracle and a lesson.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jax_tconv._call.call import Call
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.products import Sums, channels_by_group, channels_together, kernel_by_group

MAX_PRODUCTS = 2**24


def refusal(call: Call) -> str | None:
    """Why this is too large, or None: one example's products are held at once."""
    products = math.prod(call.geometry.input_size) * call.taps * call.c_out
    if products <= MAX_PRODUCTS:
        return None
    return f"it would hold {products:,} products per example, and takes up to {MAX_PRODUCTS:,}"


def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The transposed convolution."""
    pixels, taps = _letters(geometry)
    products = sums.einsum(
        f"N{pixels}GI,{taps}GIO->N{pixels}{taps}GO",
        channels_by_group(x, geometry.groups),
        kernel_by_group(kernel, geometry.groups),
    )
    products = channels_together(products)
    y = jnp.zeros((x.shape[0], *geometry.output_size, products.shape[-1]), sums.dtype)
    return y.at[(slice(None), *_landing(geometry))].add(products, mode="drop")


def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The strided convolution: from where a pixel's products land, the cotangent comes back to it."""
    pixels, taps = _letters(geometry)
    equation = f"N{pixels}{taps}GO,{taps}GIO->N{pixels}GI"
    return channels_together(sums.einsum(equation, _landed(g, geometry), kernel_by_group(kernel, geometry.groups)))


def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The kernel gradient: the same with the input's pixels, summed over all of them."""
    pixels, taps = _letters(geometry)
    by_group = channels_by_group(x, geometry.groups)
    gradient = sums.einsum(f"N{pixels}GI,N{pixels}{taps}GO->{taps}GIO", by_group, _landed(g, geometry))
    return gradient.reshape(*geometry.kernel_size, x.shape[-1], g.shape[-1] // geometry.groups)


def _letters(geometry: Geometry) -> tuple[str, str]:
    """Axis letters of the input's pixels and of the taps."""
    return "abcdefgh"[: geometry.ndim], "ijklmnop"[: geometry.ndim]


def _landed(g: jax.Array, geometry: Geometry) -> jax.Array:
    """`(batch, *input_size, *kernel_size, group, out // groups)`: the cotangent where each product lands."""
    landed = g.at[(slice(None), *_landing(geometry))].get(mode="fill", fill_value=0)
    return channels_by_group(landed, geometry.groups)


def _landing(geometry: Geometry) -> list[np.ndarray]:
    """For each spatial axis the output row, `(*input_size, *kernel_size)`; one beyond the last where there is none."""
    rows = []
    for number, axis in enumerate(geometry.axes):
        landing = np.add.outer(np.arange(axis.input_size) * axis.stride, np.arange(axis.kernel_size) * axis.dilation)
        landing -= axis.padding_low
        landing[landing < 0] = axis.output_size  # below zero counts from the end
        shape = [1] * (2 * geometry.ndim)
        shape[number], shape[geometry.ndim + number] = landing.shape
        rows.append(landing.reshape(shape))
    return rows
