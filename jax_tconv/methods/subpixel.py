"""Each output phase as a small dense convolution of the input, then an interleave: no zeros are ever inserted.

After W. Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
neural network" (2016), and "Is the deconvolution layer the same as a convolutional layer?" (2016). All phases together
are one convolution with `stride` times as many output channels on each axis: the program does not grow with the stride.

It has no form of C and W: they never had zeros between rows.
"""

from typing import Any

import jax
from jax import lax
from jax.typing import DTypeLike

from jax_tconv.geometry import Geometry
from jax_tconv.methods.layout import dimension_numbers, kernel_by_output_channel
from jax_tconv.methods.phases import phases, place, split_taps


def T(x: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The transposed convolution."""
    axes, n, groups = phases(geometry), geometry.ndim, geometry.groups
    c_out = kernel.shape[-1]
    counts = [axis.count for axis in axes]
    # (taps, phase, ..., in, out // groups) to (*taps, in, *phase * out // groups): the phases are more output channels.
    split = split_taps(kernel, geometry)
    split = split.transpose(*range(0, 2 * n, 2), 2 * n, *range(1, 2 * n, 2), 2 * n + 1)
    filters = split.reshape(*split.shape[: n + 1], -1)
    y = lax.conv_general_dilated(
        x,
        # A convolution pairs block m with input row m - j * d: the taps run backwards.
        lax.rev(kernel_by_output_channel(filters, groups), tuple(range(n))),
        window_strides=(1,) * n,
        padding=[((axis.taps - 1) * axis.dilation,) * 2 for axis in axes],
        rhs_dilation=[axis.dilation for axis in axes],
        dimension_numbers=dimension_numbers("N*C", "*IO", "N*C", geometry),
        feature_group_count=groups,
        precision=precision,
        preferred_element_type=accumulate,
    )
    blocks = y.reshape(*y.shape[:-1], groups, *counts, c_out)
    blocks = blocks.transpose(*range(n + 1), *range(n + 2, 2 * n + 2), n + 1, 2 * n + 2)
    return place(blocks.reshape(*blocks.shape[: 2 * n + 1], groups * c_out), geometry)
