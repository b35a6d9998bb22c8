"""Activations that jax.nn lacks, or computes otherwise than PyTorch."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jax_tconv._call import layer
from jax_tconv._functional.inputs import floats


def softplus(x: ArrayLike, beta: float = 1.0, threshold: float = 20.0) -> jax.Array:
    """`log(1 + exp(beta * x)) / beta`, and `x` itself where `beta * x` is above `threshold`, as PyTorch's `softplus`.

    Args:
      x: an array of any shape, of a floating dtype.
      beta, threshold: numbers; `jax.nn.softplus` has no such arguments.

    Returns:
      An array like `x`.

    Raises:
      TypeError: `x` is no array of a floating dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import softplus
      >>> softplus(jnp.array([0.0, 30.0])).round(4).tolist()
      [0.6930999755859375, 30.0]
    """
    x = floats("x", x)
    return jnp.where(beta * x > threshold, x, jax.nn.softplus(beta * x) / beta)


def threshold(x: ArrayLike, threshold: float, value: float) -> jax.Array:
    """`x` where it is above `threshold`, and `value` elsewhere, as PyTorch's `threshold`.

    Args:
      x: an array of any shape, of a floating dtype.
      threshold, value: numbers.

    Returns:
      An array like `x`.

    Raises:
      TypeError: `x` is no array of a floating dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import threshold
      >>> threshold(jnp.array([0.5, 2.0]), 1.0, -1.0).tolist()
      [-1.0, 2.0]
    """
    x = floats("x", x)
    return jnp.where(x <= threshold, value, x)


def hardshrink(x: ArrayLike, lambd: float = 0.5) -> jax.Array:
    """`x` where it is further than `lambd` from 0, and 0 elsewhere, as PyTorch's `hardshrink`.

    Args:
      x: an array of any shape, of a floating dtype.
      lambd: a number.

    Returns:
      An array like `x`.

    Raises:
      TypeError: `x` is no array of a floating dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import hardshrink
      >>> hardshrink(jnp.array([-0.75, 0.25, 2.0])).tolist()
      [-0.75, 0.0, 2.0]
    """
    x = floats("x", x)
    return jnp.where((x >= -lambd) & (x <= lambd), 0, x)


def softshrink(x: ArrayLike, lambd: float = 0.5) -> jax.Array:
    """`x` moved towards 0 by `lambd`, and 0 where that would go beyond it, as PyTorch's `softshrink`.

    Args:
      x: an array of any shape, of a floating dtype.
      lambd: a number, at least 0.

    Returns:
      An array like `x`.

    Raises:
      TypeError: `x` is no array of a floating dtype.
      ValueError: `lambd` is negative.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import softshrink
      >>> softshrink(jnp.array([-0.75, 0.25, 2.0])).tolist()
      [-0.25, 0.0, 1.5]
    """
    x = floats("x", x)
    if lambd < 0:
        raise ValueError(f"lambd must be at least 0, got {lambd!r}")
    return jnp.where(x > lambd, x - lambd, jnp.where(x < -lambd, x + lambd, x * 0))


def tanhshrink(x: ArrayLike) -> jax.Array:
    """`x - tanh(x)`, as PyTorch's `tanhshrink`.

    Args:
      x: an array of any shape, of a floating dtype.

    Returns:
      An array like `x`.

    Raises:
      TypeError: `x` is no array of a floating dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import tanhshrink
      >>> tanhshrink(jnp.array([0.0, 1.0])).round(4).tolist()
      [0.0, 0.23839999735355377]
    """
    x = floats("x", x)
    return x - jnp.tanh(x)


def rrelu(x: ArrayLike, lower: float = 1 / 8, upper: float = 1 / 3) -> jax.Array:
    """PyTorch's `rrelu` in evaluation: `x` where it is positive, elsewhere times the mean of the two slopes.

    Args:
      x: an array of any shape, of a floating dtype.
      lower, upper: the ends of the range from which torch draws slopes in training; nothing is drawn here.

    Returns:
      An array like `x`.

    Raises:
      TypeError: `x` is no array of a floating dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import rrelu
      >>> rrelu(jnp.array([-4.0, 4.0]), 0.25, 0.75).tolist()
      [-2.0, 4.0]
    """
    x = floats("x", x)
    return jnp.where(x > 0, x, (lower + upper) / 2 * x)


def prelu(x: ArrayLike, slopes: ArrayLike) -> jax.Array:
    """`x` where it is positive, elsewhere times a slope, as PyTorch's `prelu`.

    Args:
      x: `(..., channels)`, of a floating dtype.
      slopes: one for all channels, `(1,)`, or one each, `(channels,)`.

    Returns:
      An array like `x`.

    Raises:
      TypeError: an argument is no array of a floating dtype.
      ValueError: another number of slopes.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import prelu
      >>> prelu(jnp.array([[-1.0, -1.0], [1.0, 1.0]]), jnp.array([0.5, 0.25])).tolist()
      [[-0.5, -0.25], [1.0, 1.0]]
    """
    x, slopes = floats("x", x), floats("slopes", slopes)
    if slopes.shape != (1,) and x.shape[-1:] != slopes.shape:
        raise ValueError(
            f"slopes must have shape (1,), or one for each channel of x, of shape {x.shape}; got {slopes.shape}"
        )
    return layer.prelu(x, slopes)


def softmin(x: ArrayLike, axis: int = -1) -> jax.Array:
    """`softmax(-x)`, as PyTorch's `softmin`.

    Args:
      x: an array of a floating dtype.
      axis: the axis along which the values add up to 1.

    Returns:
      An array like `x`.

    Raises:
      TypeError: `x` is no array of a floating dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import softmin
      >>> softmin(jnp.array([0.0, 0.0])).tolist()
      [0.5, 0.5]
    """
    return jax.nn.softmax(-floats("x", x), axis)
