"""Where the windows of a pooling lie, in ints, and what is in them, one axis at a time.

Every pooling here is one over each axis in turn: a maximum and a sum do not mind, and it costs the sum of the window's
sizes rather than their product.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_tconv._call.arguments import per_axis
from jax_tconv._functional.inputs import spatial_axes


@dataclass(frozen=True)
class Window:
    """The windows along one axis: window `i` begins at row `i * stride - padding` of `size` rows."""

    axis: int
    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    count: int

    @property
    def after(self) -> int:
        """How many rows the last window needs after the end, negative where rows are left over."""
        extent = (self.count - 1) * self.stride + self.dilation * (self.kernel - 1) + 1
        return extent - self.padding - self.size


def windows(
    x: jax.Array,
    n: int,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    ceil_mode: bool = False,
) -> list[Window]:
    """The windows along each of the `n` spatial axes of `x`, as PyTorch counts them.

    `ceil_mode` has a window more where rows are left over, unless that one would begin in the padding at the end.
    TypeError or ValueError for a bad argument.
    """
    kernels = per_axis("kernel_size", kernel_size, n, least=1)
    strides = kernels if stride is None else per_axis("stride", stride, n, least=1)
    paddings = per_axis("padding", padding, n, least=0)
    dilations = per_axis("dilation", dilation, n, least=1)
    found = []
    for axis, kernel, step, rows, spread in zip(spatial_axes(x, n), kernels, strides, paddings, dilations, strict=True):
        size, extent = x.shape[axis], spread * (kernel - 1) + 1
        if rows > extent // 2:
            raise ValueError(
                f"padding must be at most half of the window, which extends over {extent} rows; got {padding!r}"
            )
        free = size + 2 * rows - extent
        count = (-(-free // step) if ceil_mode else free // step) + 1
        if ceil_mode and (count - 1) * step >= size + rows:
            count -= 1
        if count < 1:
            raise ValueError(
                f"kernel_size must fit into x and its padding: a window extends over {extent} rows, and the axis of "
                f"size {size} in {x.shape} has {size + 2 * rows} with padding={padding!r}"
            )
        found.append(Window(axis, size, kernel, step, rows, spread, count))
    return found


def padded(x: jax.Array, window: Window, fill: Any) -> jax.Array:
    """`x` with `fill` wherever a window reaches beyond it, and without the rows that no window reaches."""
    widths = [(0, 0, 0)] * x.ndim
    widths[window.axis] = (window.padding, window.after, 0)
    return lax.pad(x, jnp.asarray(fill, x.dtype), widths)


def taps(x: jax.Array, window: Window, fill: Any) -> Iterator[jax.Array]:
    """The first row of every window, then the second, and so on, each of `window.count` rows."""
    rows = padded(x, window, fill)
    for tap in range(window.kernel):
        start = tap * window.dilation
        yield lax.slice_in_dim(rows, start, start + (window.count - 1) * window.stride + 1, window.stride, window.axis)


def sums(x: jax.Array, window: Window) -> jax.Array:
    """The sum over every window."""
    kernel, stride, dilation = ([1] * x.ndim for _ in range(3))
    kernel[window.axis], stride[window.axis], dilation[window.axis] = window.kernel, window.stride, window.dilation
    rows = padded(x, window, 0)
    zero = x.dtype.type(0)  # JAX looks at its value, which it could not if it were traced
    return lax.reduce_window(rows, zero, lax.add, kernel, stride, "VALID", window_dilation=dilation)
