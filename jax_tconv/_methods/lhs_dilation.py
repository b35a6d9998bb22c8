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
from jax_tconv._methods.products import Sums, kernel_by_output_channel, strided_convolution
from jax_tconv._methods.swapped import safely_swapped


@safely_swapped
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


def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The strided convolution, with as much padding at the end as at the start wherever that makes no further row.

    cuDNN pads both ends alike; for anything else XLA first writes out the whole cotangent, padded.
    """
    axes = zip(geometry.padding_low, geometry.padding_high, geometry.stride, strict=True)
    pads = [(low, low if 0 < low - high < stride else high) for low, high, stride in axes]
    return strided_convolution(g, kernel, geometry, sums, pads)


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
