"""The transposed convolution as what its name says: the transpose of a convolution's matrix, times the input.

V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016), section 4.1, writes the matrix
out. It is mostly zeros and grows with the square of the image: for lessons and for oracles.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jax_tconv._call.call import Call
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.products import Sums, channels_by_group, kernel_by_group

MAX_ENTRIES = 2**24


def refusal(call: Call) -> str | None:
    """Why this is too large, or None."""
    geometry = call.geometry
    pixels = math.prod(geometry.input_size) * math.prod(geometry.output_size)
    entries = pixels * call.c_in * call.c_out // geometry.groups
    if entries <= MAX_ENTRIES:
        return None
    return f"its matrix would have {entries:,} entries, and it takes up to {MAX_ENTRIES:,}"


def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The transposed convolution."""
    matrix = _in_two_axes(kernel, geometry)
    y = sums.einsum("NaGI,paGIO->NpGO", _flat(x, geometry.groups), matrix)
    return y.reshape(x.shape[0], *geometry.output_size, geometry.groups * kernel.shape[-1])


def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The strided convolution: the same matrix, transposed."""
    matrix = _in_two_axes(kernel, geometry)
    x = sums.einsum("NpGO,paGIO->NaGI", _flat(g, geometry.groups), matrix)
    return x.reshape(g.shape[0], *geometry.input_size, kernel.shape[-2])


def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The kernel gradient: that of every entry, added up over the entries that one tap is written into."""
    n, c_in, c_out = geometry.ndim, x.shape[-1], g.shape[-1] // geometry.groups
    gradient = sums.einsum("NaGI,NpGO->paGIO", _flat(x, geometry.groups), _flat(g, geometry.groups))
    gradient = gradient.reshape(*geometry.output_size, *geometry.input_size, c_in, c_out)
    padded = jnp.zeros((*(k + 1 for k in geometry.kernel_size), c_in, c_out), gradient.dtype)
    return padded.at[_taps(geometry)].add(gradient)[(slice(-1),) * n]


def entries(kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """`(*output_size, *input_size, in, out // groups)`: what each input pixel adds to each output pixel."""
    return jnp.pad(kernel, [(0, 1)] * geometry.ndim + [(0, 0)] * 2)[_taps(geometry)]


def dense(kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """The whole matrix `(prod(output_size) * out, prod(input_size) * in)`; between groups it holds zeros."""
    n, groups, (c_in, c_out) = geometry.ndim, geometry.groups, kernel.shape[-2:]
    blocks = kernel_by_group(entries(kernel, geometry), groups)
    spread = blocks[..., None, :] * jnp.eye(groups, dtype=kernel.dtype)[:, None, :, None]
    # (*output, *input, group, in, group, out) to (*output, group, out, *input, group, in)
    axes = [*range(n), 2 * n + 2, 2 * n + 3, *range(n, 2 * n), 2 * n, 2 * n + 1]
    rows = math.prod(geometry.output_size) * groups * c_out
    return spread.transpose(axes).reshape(rows, math.prod(geometry.input_size) * c_in)


def _taps(geometry: Geometry) -> tuple[np.ndarray, ...]:
    """For each spatial axis of the kernel the tap at which an output and an input pixel meet: `(*output, *input)`.

    Where they do not meet, the index is one too large: that of zeros added after the last tap.
    """
    n, index = geometry.ndim, []
    for number, axis in enumerate(geometry.axes):
        # Output row p and input row i meet at tap t = (p + low - i * s) / d, if there is such a tap.
        k, d = axis.kernel_size, axis.dilation
        rows = np.arange(axis.output_size) + axis.padding_low
        reach = np.subtract.outer(rows, np.arange(axis.input_size) * axis.stride)
        tap = np.where((reach % d == 0) & (reach >= 0) & (reach // d < k), reach // d, k)
        shape = [1] * (2 * n)
        shape[number], shape[n + number] = tap.shape
        index.append(tap.reshape(shape))
    return tuple(index)


def _in_two_axes(kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """`(output pixels, input pixels, group, in // groups, out // groups)`."""
    sizes = math.prod(geometry.output_size), math.prod(geometry.input_size)
    matrix = entries(kernel, geometry).reshape(*sizes, *kernel.shape[-2:])
    return kernel_by_group(matrix, geometry.groups)


def _flat(array: jax.Array, groups: int) -> jax.Array:
    """`(batch, *pixels, channels)` as `(batch, pixels, group, channels of one group)`."""
    flat = array.reshape(array.shape[0], math.prod(array.shape[1:-1]), array.shape[-1])
    return channels_by_group(flat, groups)
