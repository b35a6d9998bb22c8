"""What the functions take: arrays of `(batch, *spatial, channels)`, and ints, one for all spatial axes or one per axis.

Errors say what was given and would do.
"""

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jax_tconv._call.arguments import is_int, listed

IntOrInts: TypeAlias = int | Sequence[int]


def array(name: str, value: Any) -> jax.Array:
    """`value` as a jax.Array, of whatever dtype; TypeError unless it is an array of JAX, NumPy or Flax."""
    if not isinstance(value, jax.Array) and callable(getattr(value, "__jax_array__", None)):  # a Flax variable
        value = value.__jax_array__()
    if not isinstance(value, jax.Array | np.ndarray | np.generic):
        library = type(value).__module__.partition(".")[0]
        advice = "tensor.detach().cpu().numpy()" if library == "torch" else "jnp.asarray"
        raise TypeError(f"{name} must be a JAX or NumPy array, got {type(value).__name__}; convert it with {advice}")
    return jnp.asarray(value)


def floats(name: str, value: Any) -> jax.Array:
    """`value` as a jax.Array of a floating or complex dtype; TypeError where it is none."""
    found = array(name, value)
    if not jnp.issubdtype(found.dtype, jnp.inexact):
        raise TypeError(f"{name} must be of a floating dtype, got {found.dtype.name}; cast it first")
    return found


def wide(dtype: Any) -> Any:
    """The dtype that sums of `dtype` are formed in: float32 for half precisions, otherwise itself."""
    return jnp.promote_types(dtype, jnp.float32)


def maps(x: ArrayLike, **arguments: Any) -> tuple[jax.Array, int]:
    """`x` as an array, and how many spatial axes it has: those before the last.

    As many as a sequence among `arguments` has entries; without a sequence, all axes but the first and the last.
    TypeError or ValueError where `x` is no array, or has too few axes.
    """
    found = array("x", x)
    given = {name: value for name, value in arguments.items() if value is not None and not is_int(value)}
    for name, value in given.items():
        n = len(listed(name, value))
        if not 1 <= n < found.ndim:
            raise ValueError(f"{name} has {n} entries, one per spatial axis; x has shape {found.shape}, channels last")
        return found, n
    if found.ndim < 3:
        raise ValueError(f"x must have shape (batch, *spatial, channels), got {found.shape}")
    return found, found.ndim - 2


def spatial_axes(x: jax.Array, n: int) -> range:
    """The positions of the `n` axes before the last."""
    return range(x.ndim - 1 - n, x.ndim - 1)


def sizes(name: str, value: Any, current: Sequence[int]) -> tuple[int, ...]:
    """`value` as one size of at least 1 per spatial axis; None, for all or for one, is the current size."""
    values = [value] * len(current) if value is None or is_int(value) else listed(name, value)
    if len(values) != len(current):
        raise ValueError(f"{name} must be an int or {len(current)} ints, one per spatial axis; got {value!r}")
    for size in values:
        if size is not None and not is_int(size):
            raise TypeError(f"{name} must be an int, or one int or None per spatial axis; got {value!r}")
        if size is not None and size < 1:
            raise ValueError(f"{name} must be at least 1 on every spatial axis, got {value!r}")
    return tuple(now if size is None else operator.index(size) for size, now in zip(values, current, strict=True))
