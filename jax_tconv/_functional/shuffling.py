"""Channels into pixels and back, and among one another: PyTorch's orders."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jax_tconv._call.arguments import integer
from jax_tconv._functional.inputs import array


def pixel_shuffle(x: ArrayLike, factor: int) -> jax.Array:
    """Images `factor` times as large, out of `factor ** 2` channels each, as PyTorch's `pixel_shuffle`.

    Output pixel `(h * factor + i, w * factor + j)` of channel `c` is input channel `(c * factor + i) * factor + j` of
    pixel `(h, w)`.

    Args:
      x: `(*batch, height, width, channels)`, of any dtype.
      factor: what to multiply height and width by.

    Returns:
      An array of shape `(*batch, height * factor, width * factor, channels // factor ** 2)`.

    Raises:
      TypeError, ValueError: `factor` is no positive int, or `channels` no multiple of its square.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import pixel_shuffle
      >>> pixel_shuffle(jnp.arange(4).reshape(1, 1, 1, 4), 2)[0, :, :, 0].tolist()
      [[0, 1], [2, 3]]
    """
    x = _images(x)
    r = integer("factor", factor, least=1)
    *batch, height, width, channels = x.shape
    if channels % r**2:
        raise ValueError(f"x must have a multiple of {r**2} channels on the last axis, got shape {x.shape}")
    x = x.reshape(*batch, height, width, channels // r**2, r, r)
    n = len(batch)
    x = x.transpose(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return x.reshape(*batch, height * r, width * r, channels // r**2)


def pixel_unshuffle(x: ArrayLike, factor: int) -> jax.Array:
    """The inverse of `pixel_shuffle`, as PyTorch's `pixel_unshuffle`: images `factor` times smaller, more channels.

    Args:
      x: `(*batch, height, width, channels)`, of any dtype.
      factor: what to divide height and width by.

    Returns:
      An array of shape `(*batch, height // factor, width // factor, channels * factor ** 2)`.

    Raises:
      TypeError, ValueError: `factor` is no positive int, or height or width no multiple of it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import pixel_unshuffle
      >>> pixel_unshuffle(jnp.array([[0, 1], [2, 3]]).reshape(1, 2, 2, 1), 2).ravel().tolist()
      [0, 1, 2, 3]
    """
    x = _images(x)
    r = integer("factor", factor, least=1)
    *batch, height, width, channels = x.shape
    if height % r or width % r:
        raise ValueError(f"x must have a height and a width that factor={r} divides, got shape {x.shape}")
    x = x.reshape(*batch, height // r, r, width // r, r, channels)
    n = len(batch)
    x = x.transpose(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return x.reshape(*batch, height // r, width // r, channels * r**2)


def channel_shuffle(x: ArrayLike, groups: int) -> jax.Array:
    """The channels dealt out in turn among `groups` groups of them, as PyTorch's `channel_shuffle`.

    Args:
      x: `(..., channels)`, of any dtype.
      groups: how many groups the channels come in.

    Returns:
      An array like `x`: the first channel of each group, then the second of each, and so on.

    Raises:
      TypeError, ValueError: `groups` is no positive int, or `channels` no multiple of it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import channel_shuffle
      >>> channel_shuffle(jnp.arange(6), 2).tolist()
      [0, 3, 1, 4, 2, 5]
    """
    x = array("x", x)
    if x.ndim < 1 or x.shape[-1] % integer("groups", groups, least=1):
        raise ValueError(f"x must have a multiple of groups={groups} channels on the last axis, got shape {x.shape}")
    return jnp.swapaxes(x.reshape(*x.shape[:-1], groups, -1), -1, -2).reshape(x.shape)


def _images(x: ArrayLike) -> jax.Array:
    found = array("x", x)
    if found.ndim < 3:
        raise ValueError(f"x must have shape (*batch, height, width, channels), got {found.shape}")
    return found
