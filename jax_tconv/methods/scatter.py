"""Each input pixel, times the kernel, is added into the output where it lands: the definition in its plainest form.

The picture that tutorials draw. Slow on most machines, and it holds every product at once: an oracle and a lesson.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jax_tconv.geometry import Geometry
from jax_tconv.methods.adjoint import adjoints

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
    c_in, c_out = kernel.shape[-2:]
    spatial, taps = "abcdefgh"[:n], "ijklmnop"[:n]
    products = jnp.einsum(
        f"N{spatial}GI,{taps}GIO->N{spatial}{taps}GO",
        x.reshape(*x.shape[:-1], groups, c_in // groups),
        kernel.reshape(*geometry.kernel_size, groups, c_in // groups, c_out),
        precision=precision,
        preferred_element_type=accumulate,
    )
    products = products.reshape(*products.shape[:-2], groups * c_out)
    rows = []
    for axis, (size, k, s, d, low, out) in enumerate(
        zip(
            geometry.input_size,
            geometry.kernel_size,
            geometry.stride,
            geometry.dilation,
            geometry.padding_low,
            geometry.output_size,
            strict=True,
        )
    ):
        landing = np.add.outer(np.arange(size) * s, np.arange(k) * d) - low
        landing[landing < 0] = out  # an index below zero would count from the end; one beyond it is dropped
        shape = [1] * (2 * n)
        shape[axis], shape[n + axis] = size, k
        rows.append(landing.reshape(shape))
    y = jnp.zeros((x.shape[0], *geometry.output_size, groups * c_out), accumulate)
    return y.at[(slice(None), *rows)].add(products, mode="drop")


C, W = adjoints(T)
