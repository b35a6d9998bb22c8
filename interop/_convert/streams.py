"""The random streams of nnx models, which no checkpoint has."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


def start_streams(model: nnx.Module) -> None:
    """Gives the random streams of a model from `nnx.eval_shape` keys, all different and the same every time.

    Streams that have their keys are left as they are.
    """
    started: list[tuple[Any, Any]] = []
    for place, stream in nnx.to_flat_state(nnx.state(model, nnx.RngState)):
        old = stream.get_value()
        if isinstance(old, jax.ShapeDtypeStruct):
            started.append((place, stream.replace(_first(old, len(started)))))
    nnx.update(model, nnx.from_flat_state(started))


def _first(stream: jax.ShapeDtypeStruct, number: int) -> jax.Array:
    """A count of zero, or a key or keys."""
    if not jnp.issubdtype(stream.dtype, jax.dtypes.prng_key):
        return jnp.zeros(stream.shape, stream.dtype)
    key = jax.random.fold_in(jax.random.key(0), number)
    return jax.random.split(key, stream.shape) if stream.shape else key
