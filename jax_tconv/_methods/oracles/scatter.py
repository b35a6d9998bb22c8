"""Each input pixel, times the kernel, is added into the output where it lands: the definition in its plainest form.

The picture that tutorials draw. Slow on most machines, and it holds every product at once: an oracle and a lesson.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.adjoint import adjoints
from jax_tconv._methods.products import channels_by_group, channels_together, kernel_by_group

MAX_PRODUCTS = 2**24


def refusal(geometry: Geometry, c_in: int, c_out: int) -> str | None:
    """Why this is too large, or None: one example's products are held at once."""
    products = int(np.prod(geometry.input_size)) * int(np.prod(geometry.kernel_size)) * c_out
    if products <= MAX_PRODUCTS:
        return None
    return f"it would hold {products:,} products an example, and takes up to {MAX_PRODUCTS:,}"


def T(x: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The transposed convolution."""
    n, groups = geometry.ndim, geometry.groups
    spatial, taps = "abcdefgh"[:n], "ijklmnop"[:n]
    products = jnp.einsum(
        f"N{spatial}GI,{taps}GIO->N{spatial}{taps}GO",
        channels_by_group(x, groups),
        kernel_by_group(kernel, groups),
        precision=precision,
        preferred_element_type=accumulate,
    )
    products = channels_together(products)
    rows = []
    for number, axis in enumerate(geometry.axes):
        landing = np.add.outer(np.arange(axis.input_size) * axis.stride, np.arange(axis.kernel_size) * axis.dilation)
        landing -= axis.padding_low
        landing[landing < 0] = axis.output_size  # below zero counts from the end; beyond the end is dropped
        shape = [1] * (2 * n)
        shape[number], shape[n + number] = landing.shape
        rows.append(landing.reshape(shape))
    y = jnp.zeros((x.shape[0], *geometry.output_size, products.shape[-1]), accumulate)
    return y.at[(slice(None), *rows)].add(products, mode="drop")


C, W = adjoints(T)
