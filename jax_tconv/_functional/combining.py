"""An axis whose rows are weighted sums of a few rows each, known when tracing: what resizing is."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# With more terms than this, one product with a matrix, most of it zeros, is quicker to compile and to run.
_MOST_TERMS = 16


def combined(x: jax.Array, axis: int, rows: np.ndarray, weights: np.ndarray) -> jax.Array:
    """`x` with the rows of `axis` replaced by the sums of `x[rows] * weights`, both of shape `(count, terms)`.

    The derivative is a product with a matrix: the transpose of a gather would be a scatter, which is slow everywhere.
    """
    count, terms = rows.shape
    if terms == 1 and count == x.shape[axis] and (rows[:, 0] == np.arange(count)).all() and (weights == 1).all():
        return x

    def product(x: jax.Array) -> jax.Array:
        matrix = np.zeros((count, x.shape[axis]))
        np.add.at(matrix, (np.arange(count)[:, None], rows), weights)
        moved = jnp.tensordot(x, jnp.asarray(matrix, x.dtype), (axis, 1), precision="highest")
        return jnp.moveaxis(moved, -1, axis)

    if terms > _MOST_TERMS:
        return product(x)

    @jax.custom_jvp
    def gathered(x: jax.Array) -> jax.Array:
        shape = (count,) + (1,) * (x.ndim - axis - 1)
        total: Any = 0
        for places, factors in zip(rows.T, weights.T, strict=True):
            total = total + jnp.take(x, places, axis) * jnp.asarray(factors.reshape(shape), x.dtype)
        return total

    @gathered.defjvp
    def derivative(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
        return gathered(*primals), product(*tangents)

    return gathered(x)
