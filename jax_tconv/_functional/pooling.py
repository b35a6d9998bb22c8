"""Pooling in windows: PyTorch's max_pool, avg_pool and lp_pool."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jax_tconv._functional.inputs import IntOrInts, array, floats, maps, wide
from jax_tconv._functional.windows import Window, sums, taps, windows


def max_pool(
    x: ArrayLike,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
) -> jax.Array:
    """The largest value in each window, with the values and gradients of PyTorch's `max_pool1d`, `2d` and `3d`.

    Unlike `flax.nnx.max_pool`, it has torch's `dilation` and `ceil_mode`. Of equal values the first gets the gradient.

    Args:
      x: `(batch, *spatial, channels)`, of a real dtype. Where an argument is a sequence, it says how many axes are
        spatial, and there may be any number of batch axes.
      kernel_size: the window's size, an int, or one per spatial axis.
      stride: the steps between windows; None means `kernel_size`.
      padding: rows of -inf on both sides, at most half a window.
      dilation: the distance between the rows of a window.
      ceil_mode: whether rows left over at the end have a window too, one that reaches beyond the end.

    Returns:
      An array like `x` with `(size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 1` rows on each spatial
      axis, rounded down, or up with `ceil_mode`.

    Raises:
      TypeError, ValueError: an argument of another form, or a window that does not fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import max_pool
      >>> x = jnp.array([3.0, 1.0, 2.0, 5.0, 4.0]).reshape(1, 5, 1)
      >>> max_pool(x, 2).ravel().tolist(), max_pool(x, 2, ceil_mode=True).ravel().tolist()
      ([3.0, 5.0], [3.0, 5.0, 4.0])
    """
    x, n = maps(x, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    least = _least(x)
    for window in reversed(windows(x, n, kernel_size, stride, padding, dilation, ceil_mode=ceil_mode)):
        best, *others = taps(x, window, least)
        for tap in others:
            best = jnp.where(_beats(tap, best), tap, best)
        x = best
    return x


def max_pool_with_indices(
    x: ArrayLike,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """`max_pool`, and where in `x` each value was, as PyTorch has it with `return_indices=True`.

    Args:
      x, kernel_size, stride, padding, dilation, ceil_mode: as in `max_pool`.

    Returns:
      The values, and as many int32 indices into the spatial axes taken as one (for an image, `row * width + column`),
      which `max_unpool` takes.

    Raises:
      TypeError, ValueError: as in `max_pool`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import max_pool_with_indices
      >>> values, indices = max_pool_with_indices(jnp.array([3.0, 1.0, 2.0, 5.0]).reshape(1, 4, 1), 2)
      >>> values.ravel().tolist(), indices.ravel().tolist()
      ([3.0, 5.0], [0, 3])
    """
    x, n = maps(x, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    least = _least(x)
    indices = jnp.zeros(x.shape, jnp.int32)
    rows = 1  # in all the axes so far, taken as one
    for window in reversed(windows(x, n, kernel_size, stride, padding, dilation, ceil_mode=ceil_mode)):
        best, place = jnp.zeros((), x.dtype), jnp.full((), -1)
        for tap, (value, within) in enumerate(zip(taps(x, window, least), taps(indices, window, -1), strict=True)):
            # -1 is the padding: it never replaces anything, and everything else replaces it.
            real = jnp.where(within < 0, -1, within + rows * _positions(window, tap, x.ndim))
            better = (place < 0) | ((real >= 0) & _beats(value, best))
            best, place = jnp.where(better, value, best), jnp.where(better, real, place)
        x, indices = best, place
        rows *= window.size
    return x, indices


def _positions(window: Window, tap: int, ndim: int) -> np.ndarray:
    """The row that tap `tap` of every window reads."""
    rows = np.arange(window.count, dtype=np.int32) * window.stride - window.padding + tap * window.dilation
    return rows.reshape([-1 if axis == window.axis else 1 for axis in range(ndim)])


def _least(x: jax.Array) -> float | int:
    if jnp.issubdtype(x.dtype, jnp.floating):
        return -float("inf")
    if jnp.issubdtype(x.dtype, jnp.integer):
        return int(jnp.iinfo(x.dtype).min)
    raise TypeError(f"x must be of a real dtype, got {x.dtype.name}; cast it first")


def _beats(value: jax.Array, best: jax.Array) -> jax.Array:
    """Whether a later `value` replaces the best so far: NaNs do."""
    return (value > best) | (value != value)


def avg_pool(
    x: ArrayLike,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> jax.Array:
    """The mean of each window, with the values of PyTorch's `avg_pool1d`, `2d` and `3d`.

    Args:
      x: `(batch, *spatial, channels)`, of a floating dtype. Where an argument is a sequence, it says how many axes are
        spatial, and there may be any number of batch axes.
      kernel_size: the window's size, an int, or one per spatial axis.
      stride: the steps between windows; None means `kernel_size`.
      padding: rows of zeros on both sides, at most half a window.
      ceil_mode: whether rows left over at the end have a window too, one that reaches beyond the end.
      count_include_pad: whether the padding counts in the mean. What `ceil_mode` adds beyond it never does.
      divisor_override: what to divide the sums by instead of the number of values.

    Returns:
      An array like `x` with `(size + 2 * padding - kernel_size) / stride + 1` rows on each spatial axis, rounded down,
      or up with `ceil_mode`.

    Raises:
      TypeError, ValueError: an argument of another form, or a window that does not fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import avg_pool
      >>> x = jnp.array([4.0, 2.0, 6.0]).reshape(1, 3, 1)
      >>> avg_pool(x, 2, padding=1).ravel().tolist()
      [2.0, 4.0]
      >>> avg_pool(x, 2, padding=1, count_include_pad=False).ravel().tolist()
      [4.0, 4.0]
    """
    x, n = maps(x, kernel_size=kernel_size, stride=stride, padding=padding)
    dtype = floats("x", x).dtype
    if divisor_override is not None and divisor_override == 0:
        raise ValueError("divisor_override must not be 0")
    found = windows(x, n, kernel_size, stride, padding, ceil_mode=ceil_mode)
    x = x.astype(wide(dtype))
    for window in found:
        x = sums(x, window)
        if divisor_override is None:
            x = x / jnp.asarray(_counts(window, x.ndim, count_include_pad), x.dtype)
    return (x if divisor_override is None else x / divisor_override).astype(dtype)


def _counts(window: Window, ndim: int, count_include_pad: bool) -> np.ndarray:
    """How many rows of each window count."""
    first = np.arange(window.count) * window.stride - window.padding
    last = np.minimum(first + window.kernel, window.size + window.padding)
    if not count_include_pad:
        first, last = np.maximum(first, 0), np.minimum(last, window.size)
    return (last - first).reshape([-1 if axis == window.axis else 1 for axis in range(ndim)])


def lp_pool(
    x: ArrayLike,
    norm_type: float,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    ceil_mode: bool = False,
) -> jax.Array:
    """The `norm_type`-norm of each window, with the values of PyTorch's `lp_pool1d`, `2d` and `3d`.

    Args:
      x: `(batch, *spatial, channels)`, of a floating dtype.
      norm_type: `p` in `sum(x ** p) ** (1 / p)`. As in torch, it is no norm where `p` is odd and the sum negative.
      kernel_size, stride, ceil_mode: as in `avg_pool`. A window that reaches beyond the end is scaled as if the mean of
        its values filled it.

    Returns:
      An array like `x`, of `avg_pool`'s shape.

    Raises:
      TypeError, ValueError: as in `avg_pool`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import lp_pool
      >>> lp_pool(jnp.array([3.0, 4.0, 6.0, 8.0]).reshape(1, 4, 1), 2, 2).ravel().tolist()
      [5.0, 10.0]
    """
    x, n = maps(x, kernel_size=kernel_size, stride=stride)
    power = int(norm_type) if norm_type == int(norm_type) else norm_type
    count = int(np.prod([window.kernel for window in windows(x, n, kernel_size, stride, ceil_mode=ceil_mode)]))
    means = avg_pool(array("x", x) ** power, kernel_size, stride, ceil_mode=ceil_mode)
    return (jnp.sign(means) * jax.nn.relu(jnp.abs(means)) * count) ** (1 / norm_type)
