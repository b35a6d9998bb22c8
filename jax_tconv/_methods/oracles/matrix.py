"""The transposed convolution as what its name says: the transpose of a convolution's matrix, times the input.

V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016), section 4.1, writes the matrix
out. It is mostly zeros and grows with the square of the image: for lessons and for oracles.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.adjoint import adjoints
from jax_tconv._methods.products import channels_by_group, kernel_by_group

MAX_ENTRIES = 2**24


def refusal(geometry: Geometry, c_in: int, c_out: int) -> str | None:
    """Why this is too large, or None."""
    entries = int(np.prod(geometry.input_size)) * int(np.prod(geometry.output_size)) * c_in * c_out // geometry.groups
    if entries <= MAX_ENTRIES:
        return None
    return f"its matrix would have {entries:,} entries, and it takes up to {MAX_ENTRIES:,}"


def entries(kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """`(*output_size, *input_size, in, out // groups)`: what each input pixel adds to each output pixel."""
    n = geometry.ndim
    index = []
    for number, axis in enumerate(geometry.axes):
        # Output row p and input row i meet at tap t = (p + low - i * s) / d, if there is such a tap; else at the row of
        # zeros added after the last.
        k, d = axis.kernel_size, axis.dilation
        rows = np.arange(axis.output_size) + axis.padding_low
        reach = np.subtract.outer(rows, np.arange(axis.input_size) * axis.stride)
        tap = np.where((reach % d == 0) & (reach >= 0) & (reach // d < k), reach // d, k)
        shape = [1] * (2 * n)
        shape[number], shape[n + number] = tap.shape
        index.append(tap.reshape(shape))
    padded = jnp.pad(kernel, [(0, 1)] * n + [(0, 0)] * 2)
    return padded[tuple(index)]


def T(x: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The transposed convolution."""
    groups, (c_in, c_out) = geometry.groups, kernel.shape[-2:]
    matrix = entries(kernel, geometry).reshape(
        int(np.prod(geometry.output_size)), int(np.prod(geometry.input_size)), groups, c_in // groups, c_out
    )
    x_flat = channels_by_group(x.reshape(x.shape[0], int(np.prod(geometry.input_size)), c_in), groups)
    y = jnp.einsum("NaGI,paGIO->NpGO", x_flat, matrix, precision=precision, preferred_element_type=accumulate)
    return y.reshape(x.shape[0], *geometry.output_size, groups * c_out)


C, W = adjoints(T)


def dense(kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """The whole matrix `(prod(output_size) * out, prod(input_size) * in)`; between groups it holds zeros."""
    n, groups, (c_in, c_out) = geometry.ndim, geometry.groups, kernel.shape[-2:]
    blocks = kernel_by_group(entries(kernel, geometry), groups)
    spread = blocks[..., None, :] * jnp.eye(groups, dtype=kernel.dtype)[:, None, :, None]
    # (*output, *input, group, in, group, out) to (*output, group, out, *input, group, in)
    axes = [*range(n), 2 * n + 2, 2 * n + 3, *range(n, 2 * n), 2 * n, 2 * n + 1]
    rows = int(np.prod(geometry.output_size)) * groups * c_out
    return spread.transpose(axes).reshape(rows, int(np.prod(geometry.input_size)) * c_in)
