"""Each op as one dilated convolution, `jax.lax.conv_general_dilated`.

The forward op is a stride-1 convolution of the input with `stride - 1` zeros set between its rows (lhs dilation) and
the kernel reversed, after V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016),
section 4.6. The input gradient is the strided convolution whose adjoint that is. The kernel gradient slides the input
over the output cotangent, `stride` rows apart.

The forms are those that XLA's GPU compiler recognises as cuDNN's backward-data, forward and backward-filter calls: for
the first a filter that is a `reverse` over all spatial axes, for the last a dilated filter and no dilated image.
"""

import jax
from jax import lax

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.products import Sums, kernel_by_output_channel
from jax_tconv._methods.products import strided_convolution as input_gradient

__all__ = ["forward", "input_gradient", "kernel_gradient"]


def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The transposed convolution."""
    axes = zip(geometry.kernel_size, geometry.dilation, geometry.padding_low, geometry.padding_high, strict=True)
    return sums.convolution(
        x,
        lax.rev(kernel_by_output_channel(kernel, geometry.groups), tuple(range(geometry.ndim))),
        ("N*C", "*IO", "N*C"),
        window_strides=(1,) * geometry.ndim,
        padding=[(d * (k - 1) - low, d * (k - 1) - high) for k, d, low, high in axes],
        lhs_dilation=geometry.stride,
        rhs_dilation=geometry.dilation,
        feature_group_count=geometry.groups,
    )


def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The kernel gradient. It sums over the batch, which therefore stands where a convolution has its channels."""
    return sums.convolution(
        g,
        x,
        ("C*N", "I*O", "*CN"),
        window_strides=geometry.dilation,
        padding=list(zip(geometry.padding_low, geometry.padding_high, strict=True)),
        rhs_dilation=geometry.stride,
        batch_group_count=geometry.groups,
    )
