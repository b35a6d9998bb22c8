"""PyTorch's unfold and fold: windows as columns, and the sum of such windows."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jax_tconv._call.arguments import per_axis
from jax_tconv._functional.inputs import IntOrInts, array


def unfold(
    x: ArrayLike,
    kernel_size: IntOrInts,
    dilation: IntOrInts = 1,
    padding: IntOrInts = 0,
    stride: IntOrInts = 1,
) -> jax.Array:
    """The windows of images, one after the other, as PyTorch's `unfold` has them in its columns.

    Args:
      x: `(batch, height, width, channels)`, of any dtype.
      kernel_size: the window's size, an int, or one per spatial axis.
      dilation: the distance between the rows of a window.
      padding: rows of zeros on both sides.
      stride: the steps between windows.

    Returns:
      An array of shape `(batch, windows, channels * height of a window * width of a window)`, torch's
      `(N, C * k * k, L)` with the last two axes swapped. Torch's order is kept within a window: the channel changes
      slowest, then the row, then the column.

    Raises:
      TypeError, ValueError: an argument of another form, or a window that does not fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import unfold
      >>> unfold(jnp.arange(6).reshape(1, 2, 3, 1), 2)[0].tolist()
      [[0, 1, 3, 4], [1, 2, 4, 5]]
    """
    x = array("x", x)
    if x.ndim != 4:
        raise ValueError(f"x must have shape (batch, height, width, channels), got {x.shape}")
    rows, paddings = _rows(x.shape[1:3], kernel_size, dilation, padding, stride)
    x = jnp.pad(x, ((0, 0), *((pad, pad) for pad in paddings), (0, 0)))
    for axis, each in zip((1, 3), rows, strict=True):
        x = jnp.take(x, each, axis)
    batch, high, kernel_high, wide, kernel_wide, channels = x.shape
    x = x.transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(batch, high * wide, channels * kernel_high * kernel_wide)


def fold(
    x: ArrayLike,
    output_size: IntOrInts,
    kernel_size: IntOrInts,
    dilation: IntOrInts = 1,
    padding: IntOrInts = 0,
    stride: IntOrInts = 1,
) -> jax.Array:
    """Images, each pixel the sum of what windows have for it, as PyTorch's `fold`: the transpose of `unfold`.

    Args:
      x: `(batch, windows, channels * height of a window * width of a window)`, as `unfold` returns it: torch's with the
        last two axes swapped.
      output_size: the size of the images, an int, or one per spatial axis.
      kernel_size, dilation, padding, stride: as in `unfold`.

    Returns:
      An array of shape `(batch, *output_size, channels)` and of the dtype of `x`.

    Raises:
      TypeError, ValueError: an argument of another form, or another number of windows or of values in each.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import fold
      >>> fold(jnp.ones((1, 2, 4)), (2, 3), 2)[0, :, :, 0].tolist()
      [[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]
    """
    x = array("x", x)
    size = per_axis("output_size", output_size, 2, least=1)
    rows, paddings = _rows(size, kernel_size, dilation, padding, stride)
    (high, kernel_high), (wide, kernel_wide) = (each.shape for each in rows)
    if x.ndim != 3 or x.shape[1] != high * wide or x.shape[2] % (kernel_high * kernel_wide):
        raise ValueError(
            f"x must have shape (batch, windows, values) with {high} * {wide} windows, of a multiple of "
            f"{kernel_high} * {kernel_wide} values each; got {x.shape}"
        )
    x = x.reshape(x.shape[0], high, wide, -1, kernel_high, kernel_wide).transpose(0, 1, 4, 2, 5, 3)
    x = added(x, 3, rows[1], size[1] + 2 * paddings[1])
    x = added(x, 1, rows[0], size[0] + 2 * paddings[0])
    first, second = paddings
    return x[:, first : first + size[0], second : second + size[1]]


def _rows(size: tuple[int, ...], kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """For each axis the rows of each window in the padded image, `(windows, kernel)`; and the padding."""
    kernels = per_axis("kernel_size", kernel_size, 2, least=1)
    dilations = per_axis("dilation", dilation, 2, least=1)
    paddings = per_axis("padding", padding, 2, least=0)
    strides = per_axis("stride", stride, 2, least=1)
    found = []
    for rows, kernel, spread, pad, step in zip(size, kernels, dilations, paddings, strides, strict=True):
        extent = spread * (kernel - 1) + 1
        if rows + 2 * pad < extent:
            raise ValueError(
                "kernel_size must fit into the image and its padding: "
                f"a window extends over {extent} rows, of {rows + 2 * pad}"
            )
        starts = np.arange(0, rows + 2 * pad - extent + 1, step)
        found.append(starts[:, None] + spread * np.arange(kernel))
    return found, paddings


def added(x: jax.Array, axis: int, rows: np.ndarray, size: int) -> jax.Array:
    """An axis of `size` rows, each the sum of what `x`, on `axis` and the next, has for it."""
    x = jnp.moveaxis(x, (axis, axis + 1), (0, 1))
    total = jnp.zeros((size, *x.shape[2:]), x.dtype).at[rows].add(x)
    return jnp.moveaxis(total, 0, axis)
