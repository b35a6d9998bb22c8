"""What the convolution methods share: axis letters for lax, and a grouped kernel's two layouts."""

from typing import Any

import jax
from jax import lax
from jax.typing import DTypeLike

from jax_tconv.geometry import Geometry


def dimension_numbers(lhs: str, rhs: str, out: str, geometry: Geometry) -> tuple[str, str, str]:
    """Axis letters as `lax.conv_general_dilated` takes them, with `*` for all the spatial axes."""
    spatial = "".join(chr(ord("a") + axis) for axis in range(geometry.ndim))
    return lhs.replace("*", spatial), rhs.replace("*", spatial), out.replace("*", spatial)


def kernel_by_output_channel(kernel: jax.Array, groups: int) -> jax.Array:
    """`(*taps, in, out // groups)` as `(*taps, in // groups, out)`, lax's layout for T's direction."""
    if groups == 1:
        return kernel
    *taps, c_in, c_out = kernel.shape
    split = kernel.reshape(*taps, groups, c_in // groups, c_out)
    return split.swapaxes(-3, -2).reshape(*taps, c_in // groups, groups * c_out)


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
