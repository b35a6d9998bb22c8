"""Where XLA swaps the operands of the forward op's convolution, so that the kernel is what the input slides over.

On CPUs and GPUs it does so to an ungrouped convolution whose filter has more values per channel than its image. Axes
on which the two are alike to it, one batch of products or one sum, keep their window and do not count. But it takes an
axis with kernel 2, stride 2 and padding 1 for such a batch, whatever the input's size is, and where that is not 2 the
sizes no longer fit, which ends the process. The conditions are those of XLA's `conv_operand_swapper.cc` (before 2026
in `algebraic_simplifier.cc`).
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
from jax import lax

from jax_tconv._call.geometry import Axis, Geometry
from jax_tconv._methods.products import Sums

Form = Callable[[jax.Array, jax.Array, Geometry, Sums], jax.Array]


def swaps_operands(geometry: Geometry) -> bool:
    """Whether XLA swaps the operands of the forward op, written as one convolution that is `safely_swapped`."""
    return _swaps(_with_rows_to_spare(geometry))


def safely_swapped(form: Form) -> Form:
    """Decorates a form of the forward op that is one convolution, so that XLA can swap its operands.

    Where it could not, the op makes one more output row on the axis at fault: then the axis is padded, and counts.
    """

    @functools.wraps(form)
    def apply(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
        written = _with_rows_to_spare(geometry)
        y = form(x, kernel, written, sums)
        sizes = (y.shape[0], *geometry.output_size, y.shape[-1])
        return y if written == geometry else lax.slice(y, (0,) * y.ndim, sizes)

    return apply


def _with_rows_to_spare(geometry: Geometry) -> Geometry:
    if not _swaps(geometry):
        return geometry
    sizes = tuple(
        axis.output_size + (_a_batch(axis, high) and axis.input_size != axis.kernel_size)
        for axis, high in zip(geometry.axes, geometry.padding_high, strict=True)
    )
    return dataclasses.replace(geometry, output_size=sizes)


def _swaps(geometry: Geometry) -> bool:
    taps = pixels = 1
    for axis, high in zip(geometry.axes, geometry.padding_high, strict=True):
        if _a_batch(axis, high) or _a_sum(axis, high):
            continue
        taps *= axis.kernel_size
        # One pixel with every tap is counted as if it were as large as the kernel.
        alone = axis.input_size == axis.dilation == 1 and axis.padding_low == high == 0
        pixels *= axis.kernel_size if alone else axis.input_size
    return geometry.groups == 1 and taps > pixels


def _a_batch(axis: Axis, high: int) -> bool:
    """What XLA takes for a batch of products, of as many as there are taps; this one has stride 1 and 2 of them."""
    return (axis.kernel_size, axis.stride, axis.dilation, axis.padding_low, high) == (2, 2, 1, 1, 1)


def _a_sum(axis: Axis, high: int) -> bool:
    """What XLA takes for a sum: all rows meet in the one row of the output."""
    one_row = axis.padding_low == high == axis.kernel_size - 1
    return one_row and axis.kernel_size == axis.input_size and axis.stride == axis.dilation == 1
