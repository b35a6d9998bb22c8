"""Normalisation by given arrays, where a network calls PyTorch's functions with parameters of its own.

The statistics are formed in float32 for half precisions, and the variance from the differences to the mean.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jax_tconv._call.arguments import integer, is_int, listed
from jax_tconv._functional.inputs import array, floats, wide


def layer_norm(
    x: ArrayLike,
    axes: int | Sequence[int] = -1,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> jax.Array:
    """`x` with mean 0 and variance 1 over `axes`, with the values of PyTorch's `layer_norm`.

    Args:
      x: an array of a floating dtype.
      axes: the axes to normalise over, ints in increasing order. Torch's are the last ones; where the channels have
        moved last, its `(C, H, W)` are `(-3, -2, -1)` here.
      weight, bias: what to multiply by and to add, of the shape of those axes, or None.
      eps: what is added to the variance.

    Returns:
      An array like `x`.

    Raises:
      TypeError, ValueError: an argument of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import layer_norm
      >>> layer_norm(jnp.array([[1.0, 3.0]]), weight=jnp.array([1.0, 2.0])).round(3).tolist()
      [[-1.0, 2.0]]
    """
    x = floats("x", x)
    given: list[Any] = [axes] if is_int(axes) else listed("axes", axes)
    if not given or not all(is_int(axis) and -x.ndim <= axis < x.ndim for axis in given):
        raise ValueError(f"axes must be one or more axes of x, which has {x.ndim}; got {axes!r}")
    places = [axis % x.ndim for axis in given]
    if places != sorted({*places}):
        raise ValueError(f"axes must be in increasing order, each once; got {axes!r}")
    shape = [size if axis in places else 1 for axis, size in enumerate(x.shape)]
    kept = tuple(x.shape[axis] for axis in places)
    return _scaled(_normalised(x, places, eps), x, kept, shape, weight, bias)


def group_norm(
    x: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> jax.Array:
    """`x` with mean 0 and variance 1 over each group of channels of each example, as PyTorch's `group_norm`.

    Args:
      x: `(batch, *spatial, channels)`, of a floating dtype; there may be no spatial axes.
      num_groups: into how many groups of neighbours the channels split.
      weight, bias: what to multiply by and to add, `(channels,)`, or None.
      eps: what is added to the variance.

    Returns:
      An array like `x`.

    Raises:
      TypeError, ValueError: an argument of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import group_norm
      >>> group_norm(jnp.array([[1.0, 3.0, 2.0, 6.0]]), 2).round(3).tolist()
      [[-1.0, 1.0, -1.0, 1.0]]
    """
    x = _with_channels(x)
    if x.shape[-1] % integer("num_groups", num_groups, least=1):
        raise ValueError(f"x must have a multiple of num_groups={num_groups} channels, got shape {x.shape}")
    grouped = x.reshape(*x.shape[:-1], num_groups, -1)
    y = _normalised(grouped, [*range(1, x.ndim - 1), x.ndim], eps).reshape(x.shape)
    return _scaled(y, x, x.shape[-1:], [-1], weight, bias)


def instance_norm(
    x: ArrayLike, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: float = 1e-5
) -> jax.Array:
    """`x` with mean 0 and variance 1 over each channel of each example, as PyTorch's `instance_norm`.

    Args:
      x: `(batch, *spatial, channels)`, of a floating dtype.
      weight, bias: what to multiply by and to add, `(channels,)`, or None.
      eps: what is added to the variance.

    Returns:
      An array like `x`.

    Raises:
      TypeError, ValueError: an argument of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import instance_norm
      >>> instance_norm(jnp.array([1.0, 3.0]).reshape(1, 2, 1)).ravel().round(3).tolist()
      [-1.0, 1.0]
    """
    x = _with_channels(x)
    if x.ndim < 3:
        raise ValueError(f"x must have shape (batch, *spatial, channels), got {x.shape}")
    return _scaled(_normalised(x, range(1, x.ndim - 1), eps), x, x.shape[-1:], [-1], weight, bias)


def batch_norm(
    x: ArrayLike,
    mean: ArrayLike | None = None,
    var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> jax.Array:
    """`(x - mean) / sqrt(var + eps) * weight + bias` in each channel, as PyTorch's `batch_norm` in evaluation.

    Args:
      x: `(batch, *spatial, channels)`, of a floating dtype; there may be no spatial axes.
      mean, var: `(channels,)`; or both None, for the mean and the variance of `x`, which torch takes in training, and
        where it keeps no running statistics.
      weight, bias: what to multiply by and to add, `(channels,)`, or None.
      eps: what is added to the variance.

    Returns:
      An array like `x`.

    Raises:
      TypeError, ValueError: an argument of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import batch_norm
      >>> batch_norm(jnp.array([[1.0, 2.0]]), jnp.array([0.0, 1.0]), jnp.array([4.0, 1.0])).round(3).tolist()
      [[0.5, 1.0]]
    """
    x = _with_channels(x)
    if mean is None or var is None:
        if mean is not var:
            raise ValueError(f"{'mean' if mean is None else 'var'} must be given too, or neither mean nor var")
        return _scaled(_normalised(x, range(x.ndim - 1), eps), x, x.shape[-1:], [-1], weight, bias)
    mean, var = _of_shape("mean", mean, x.shape[-1:]), _of_shape("var", var, x.shape[-1:])
    y = (x.astype(wide(x.dtype)) - mean) / jnp.sqrt(var + eps)
    return _scaled(y, x, x.shape[-1:], [-1], weight, bias)


def _with_channels(x: ArrayLike) -> jax.Array:
    found = floats("x", x)
    if found.ndim < 2:
        raise ValueError(f"x must have shape (batch, *spatial, channels), got {found.shape}")
    return found


def _normalised(x: jax.Array, axes: Sequence[int], eps: float) -> jax.Array:
    x = x.astype(wide(x.dtype))
    x = x - x.mean(tuple(axes), keepdims=True)
    return x / jnp.sqrt((x * x).mean(tuple(axes), keepdims=True) + eps)


def _scaled(y: jax.Array, x: jax.Array, kept: tuple[int, ...], shape: Sequence[int], weight: Any, bias: Any) -> Any:
    """`y * weight + bias` in the dtype of `x`, where both are of shape `kept`, and `shape` makes that one of `y`'s."""
    if weight is not None:
        y = y * _of_shape("weight", weight, kept).reshape(shape)
    if bias is not None:
        y = y + _of_shape("bias", bias, kept).reshape(shape)
    return y.astype(x.dtype)


def _of_shape(name: str, value: ArrayLike, shape: tuple[int, ...]) -> jax.Array:
    found = array(name, value)
    if found.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, got {found.shape}")
    return found
