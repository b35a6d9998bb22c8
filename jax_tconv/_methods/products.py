"""What the methods share: axis letters for lax, a matrix product, and a grouped kernel's two layouts."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jax_tconv._call.geometry import Geometry


def dimension_numbers(lhs: str, rhs: str, out: str, geometry: Geometry) -> tuple[str, str, str]:
    """Axis letters as `lax.conv_general_dilated` takes them, with `*` for all the spatial axes."""
    spatial = "".join(chr(ord("a") + axis) for axis in range(geometry.ndim))
    return lhs.replace("*", spatial), rhs.replace("*", spatial), out.replace("*", spatial)


def product(a: jax.Array, b: jax.Array, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The last axis of `a` against the first of the matrix `b`."""
    # In two axes from the start: XLA multiplies more of them more slowly on a CPU.
    rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
    result = jnp.matmul(rows, b, precision=precision, preferred_element_type=accumulate)
    return result.reshape(*a.shape[:-1], b.shape[-1])


def gram(a: jax.Array, b: jax.Array, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The product of all but the last axes of `a` against those of `b`: `(last of a, last of b)`."""
    a, b = (array.reshape(math.prod(array.shape[:-1]), array.shape[-1]) for array in (a, b))
    return jnp.matmul(a.T, b, precision=precision, preferred_element_type=accumulate)


def channels_by_group(array: jax.Array, groups: int) -> jax.Array:
    """`(..., channels)` as `(..., group, channels of one group)`."""
    return array.reshape(*array.shape[:-1], groups, array.shape[-1] // groups)


def channels_together(array: jax.Array) -> jax.Array:
    """Undoes `channels_by_group`."""
    # Not reshape(..., -1): that has no answer where the batch is empty.
    return array.reshape(*array.shape[:-2], array.shape[-2] * array.shape[-1])


def kernel_by_group(kernel: jax.Array, groups: int) -> jax.Array:
    """`(*taps, in, out // groups)` as `(*taps, group, in // groups, out // groups)`."""
    *taps, c_in, c_out = kernel.shape
    return kernel.reshape(*taps, groups, c_in // groups, c_out)


def kernel_by_output_channel(kernel: jax.Array, groups: int) -> jax.Array:
    """`(*taps, in, out // groups)` as `(*taps, in // groups, out)`, lax's layout for T's direction."""
    if groups == 1:
        return kernel
    *taps, c_in, c_out = kernel.shape
    return kernel_by_group(kernel, groups).swapaxes(-3, -2).reshape(*taps, c_in // groups, groups * c_out)


def convolution(
    g: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike | None
) -> jax.Array:
    """The strided convolution K whose adjoint the transposed convolution is: the definition that all methods serve."""
    return lax.conv_general_dilated(
        g,
        kernel,
        window_strides=geometry.stride,
        padding=list(zip(geometry.padding_low, geometry.padding_high, strict=True)),
        rhs_dilation=geometry.dilation,
        dimension_numbers=dimension_numbers("N*C", "*OI", "N*C", geometry),
        feature_group_count=geometry.groups,
        precision=precision,
        preferred_element_type=accumulate,
    )
