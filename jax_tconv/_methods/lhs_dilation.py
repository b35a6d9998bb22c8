"""Each op as one dilated convolution, `jax.lax.conv_general_dilated`.

T is a stride-1 convolution of the input with `stride - 1` zeros set between its rows (lhs dilation) and the kernel
reversed, after V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016), section 4.6.
C is the strided convolution whose adjoint T is. W slides the input over the output cotangent, `stride` rows apart.

The forms are those that XLA's GPU compiler recognises as cuDNN's backward-data, forward and backward-filter calls: for
T a filter that is a `reverse` over all spatial axes, for W a dilated filter and no dilated image.
"""

from typing import Any

import jax
from jax import lax
from jax.typing import DTypeLike

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.products import convolution as C
from jax_tconv._methods.products import dimension_numbers, kernel_by_output_channel

__all__ = ["C", "T", "W"]


def T(x: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The transposed convolution."""
    axes = zip(geometry.kernel_size, geometry.dilation, geometry.padding_low, geometry.padding_high, strict=True)
    return lax.conv_general_dilated(
        x,
        lax.rev(kernel_by_output_channel(kernel, geometry.groups), tuple(range(geometry.ndim))),
        window_strides=(1,) * geometry.ndim,
        padding=[(d * (k - 1) - low, d * (k - 1) - high) for k, d, low, high in axes],
        lhs_dilation=geometry.stride,
        rhs_dilation=geometry.dilation,
        dimension_numbers=dimension_numbers("N*C", "*IO", "N*C", geometry),
        feature_group_count=geometry.groups,
        precision=precision,
        preferred_element_type=accumulate,
    )


def W(x: jax.Array, g: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The kernel gradient. It sums over the batch, which therefore stands where a convolution has its channels."""
    return lax.conv_general_dilated(
        g,
        x,
        window_strides=geometry.dilation,
        padding=list(zip(geometry.padding_low, geometry.padding_high, strict=True)),
        rhs_dilation=geometry.stride,
        dimension_numbers=dimension_numbers("C*N", "I*O", "*CN", geometry),
        batch_group_count=geometry.groups,
        precision=precision,
        preferred_element_type=accumulate,
    )
