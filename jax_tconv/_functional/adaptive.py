"""Pooling to a given size: PyTorch's adaptive_avg_pool and adaptive_max_pool."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jax_tconv._functional.combining import combined
from jax_tconv._functional.inputs import floats, maps, sizes, spatial_axes, wide


def adaptive_avg_pool(x: ArrayLike, output_size: int | Sequence[int | None] | None) -> jax.Array:
    """The means of as many windows as asked for, with the values of PyTorch's `adaptive_avg_pool1d`, `2d` and `3d`.

    Window `i` of `n` over `size` rows goes from `floor(i * size / n)` to `ceil((i + 1) * size / n)`, so windows overlap
    and differ in size where `n` does not divide `size`.

    Args:
      x: `(batch, *spatial, channels)`, of a floating dtype. Where `output_size` is a sequence, it says how many axes
        are spatial, and there may be any number of batch axes.
      output_size: the number of windows, an int, or one per spatial axis; None keeps the axis as it is.

    Returns:
      An array of shape `(batch, *output_size, channels)` and of the dtype of `x`.

    Raises:
      TypeError, ValueError: an argument of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import adaptive_avg_pool
      >>> adaptive_avg_pool(jnp.array([1.0, 2.0, 6.0]).reshape(1, 3, 1), 2).ravel().tolist()
      [1.5, 4.0]
    """
    x, n = maps(x, output_size=output_size)
    dtype = floats("x", x).dtype
    axes = spatial_axes(x, n)
    counts = sizes("output_size", output_size, [x.shape[axis] for axis in axes])
    x = x.astype(wide(dtype))
    for axis, count in zip(axes, counts, strict=True):
        if x.shape[axis] % count == 0:
            x = _even(x, axis, count).mean(axis + 1)
        else:
            rows, real = _windows(x.shape[axis], count)
            x = combined(x, axis, rows, real / real.sum(1, keepdims=True))
    return x.astype(dtype)


def adaptive_max_pool(x: ArrayLike, output_size: int | Sequence[int | None] | None) -> jax.Array:
    """The largest values of as many windows as asked for, as PyTorch's `adaptive_max_pool1d`, `2d` and `3d`.

    The windows are those of `adaptive_avg_pool`. Of equal values the first gets the gradient.

    Args:
      x: `(batch, *spatial, channels)`, of a real dtype.
      output_size: the number of windows, an int, or one per spatial axis; None keeps the axis as it is.

    Returns:
      An array of shape `(batch, *output_size, channels)` and of the dtype of `x`.

    Raises:
      TypeError, ValueError: an argument of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import adaptive_max_pool
      >>> adaptive_max_pool(jnp.array([1.0, 2.0, 6.0, 3.0, 0.0]).reshape(1, 5, 1), 2).ravel().tolist()
      [6.0, 6.0]
    """
    x, n = maps(x, output_size=output_size)
    axes = spatial_axes(x, n)
    counts = sizes("output_size", output_size, [x.shape[axis] for axis in axes])
    for axis, count in reversed(list(zip(axes, counts, strict=True))):
        if x.shape[axis] % count == 0:
            choices = _even(x, axis, count)
        else:
            choices = jnp.take(x, _windows(x.shape[axis], count)[0], axis)
        x = _first_largest(choices, axis + 1)
    return x


def _first_largest(x: jax.Array, axis: int) -> jax.Array:
    """The largest value along `axis`, which alone gets the gradient; `max` would divide it among equal ones."""
    first = jnp.argmax(x, axis, keepdims=True)
    places = jnp.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1))
    return jnp.where(places == first, x, 0).sum(axis, dtype=x.dtype)


def _even(x: jax.Array, axis: int, count: int) -> jax.Array:
    """`x` with `axis` cut into `count` windows of one size: two axes."""
    return x.reshape(*x.shape[:axis], count, x.shape[axis] // count, *x.shape[axis + 1 :])


def _windows(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of each window, `(count, longest)`, and which of them are real: a shorter window repeats its last."""
    window = np.arange(count)
    first, end = window * size // count, -((window + 1) * -size // count)
    rows = first[:, None] + np.arange((end - first).max())
    return np.minimum(rows, end[:, None] - 1), rows < end[:, None]
