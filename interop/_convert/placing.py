"""numpy arrays, often views of a file, onto devices in a single copy."""

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from .._files.mapped import release

_ALIGNMENT = 64


def placed(value: NDArray[Any], like: Any = None) -> jax.Array:
    """A copy of `value` on the devices of `like`, of which each gets only its own shard.

    `like` is the array that is replaced, or a `jax.ShapeDtypeStruct`, with a sharding or without. JAX transposes while
    it copies, several times as fast as numpy does.
    """
    sharding = getattr(like, "sharding", None)
    if sharding is not None and len(sharding.device_set) > 1:
        # Without np.array, JAX could keep a shard that is a view of the caller's memory or of a file.
        array = jax.make_array_from_callback(value.shape, sharding, lambda index: np.array(value[index]))
    else:
        # Any other array is transposed, into new memory.
        array = jax.device_put(_copied(value) if value.flags.c_contiguous else value, sharding)
    release(value)
    return array


def _copied(value: NDArray[Any]) -> NDArray[Any]:
    """A copy at an address that JAX takes as it is, without copying it again."""
    memory = np.empty(value.nbytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    copy = memory[start : start + value.nbytes].view(value.dtype).reshape(value.shape)
    copy[...] = value
    return copy
