"""Norms of vectors, and what PyTorch computes of them: their gradients at 0 are 0, and not NaN."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jax_tconv._call.arguments import integer
from jax_tconv._functional.inputs import floats, wide


def normalize(x: ArrayLike, p: float = 2.0, axis: int = -1, eps: float = 1e-12) -> jax.Array:
    """`x` divided by its `p`-norm along `axis`, with the values and gradients of PyTorch's `normalize`.

    Args:
      x: an array of a floating dtype.
      p: which norm, infinity included.
      axis: the axis along which the vectors lie.
      eps: the least divisor.

    Returns:
      An array like `x`.

    Raises:
      TypeError: `x` is no array of a floating dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import normalize
      >>> normalize(jnp.array([[3.0, 4.0], [0.0, 0.0]])).round(3).tolist()
      [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    x = floats("x", x)
    return x / jnp.maximum(_norm(x, p, axis), eps)


def cosine_similarity(x1: ArrayLike, x2: ArrayLike, axis: int = -1, eps: float = 1e-8) -> jax.Array:
    """The cosine of the angle between vectors, with the values and gradients of PyTorch's `cosine_similarity`.

    Args:
      x1, x2: arrays of floating dtypes whose shapes broadcast.
      axis: the axis along which the vectors lie; torch's default is 1, the channels, which are last here.
      eps: the least norm that either is divided by.

    Returns:
      An array of the broadcast shape without `axis`.

    Raises:
      TypeError: an argument is no array of a floating dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import cosine_similarity
      >>> cosine_similarity(jnp.array([3.0, 4.0]), jnp.array([0.0, 2.0])).round(3).tolist()
      0.800000011920929
    """
    x1, x2 = jnp.broadcast_arrays(floats("x1", x1), floats("x2", x2))
    return (_unit(x1, axis, eps) * _unit(x2, axis, eps)).sum(axis)


def pairwise_distance(
    x1: ArrayLike, x2: ArrayLike, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False
) -> jax.Array:
    """The `p`-norm of `x1 - x2 + eps` along the last axis, as PyTorch's `pairwise_distance`.

    Args:
      x1, x2: arrays of floating dtypes whose shapes broadcast.
      p: which norm, infinity included.
      eps: what torch adds to every difference.
      keepdims: whether the last axis stays, with size 1.

    Returns:
      An array of the broadcast shape without its last axis.

    Raises:
      TypeError: an argument is no array of a floating dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import pairwise_distance
      >>> pairwise_distance(jnp.array([3.0, 4.0]), jnp.array([0.0, 0.0])).round(3).tolist()
      5.0
    """
    distance = _norm(floats("x1", x1) - floats("x2", x2) + eps, p, -1)
    return distance if keepdims else distance.squeeze(-1)


def local_response_norm(x: ArrayLike, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> jax.Array:
    """`x / (k + alpha * mean of squares) ** beta`, the mean over neighbouring channels, as `local_response_norm`.

    Args:
      x: `(..., channels)`, of a floating dtype.
      size: the number of channels in each mean, those beyond the first and the last counting as zeros.
      alpha, beta, k: numbers, as in the formula.

    Returns:
      An array like `x`.

    Raises:
      TypeError, ValueError: `x` is no array of a floating dtype; `size` is no positive int.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import local_response_norm
      >>> local_response_norm(jnp.array([1.0, 2.0]), 1, alpha=1.0, beta=1.0).round(3).tolist()
      [0.5, 0.4000000059604645]
    """
    x = floats("x", x)
    integer("size", size, least=1)
    widths = [(0, 0)] * (x.ndim - 1) + [(size // 2, (size - 1) // 2)]
    squares = jnp.pad(jnp.square(x.astype(wide(x.dtype))), widths)
    channels = x.shape[-1]
    means = sum(squares[..., first : first + channels] for first in range(size)) / size
    return (x / (k + alpha * means) ** beta).astype(x.dtype)


def _norm(x: jax.Array, p: float, axis: int) -> jax.Array:
    """The norm of the vectors along `axis`, which stays. The roots and powers of 0 are kept from gradients."""
    sizes = jnp.abs(x)
    if p == float("inf"):
        return sizes.max(axis, keepdims=True)
    if p == -float("inf"):
        return sizes.min(axis, keepdims=True)
    zero = sizes == 0
    if p == 0:
        return (~zero).sum(axis, keepdims=True).astype(sizes.dtype)
    powers = jnp.where(zero, 0, jnp.where(zero, 1, sizes) ** p)
    total = powers.sum(axis, keepdims=True)
    none = total == 0
    return jnp.where(none, 0, jnp.where(none, 1, total) ** (1 / p))


def _unit(x: jax.Array, axis: int, eps: float) -> jax.Array:
    """`x` divided by its norm, or by `eps` where that is more; to the gradient it is the norm either way."""
    norm = _norm(x, 2, axis)
    return x / (norm + jax.lax.stop_gradient(jnp.maximum(norm, eps) - norm))
