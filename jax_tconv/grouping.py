"""A grouped op as the ungrouped one, mapped over the groups: its matrix products become batched products.

XLA's own grouped convolution gathers a batch-sharded input on every device, and is slow on a CPU; products do neither.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jax_tconv.geometry import Geometry
from jax_tconv.roles import AXES, GROUPED_LETTER, OPERANDS, RESULT

Op = Callable[..., jax.Array]


def over_groups(op: str) -> Callable[[Op], Op]:
    """Decorates a method's ungrouped form of `op`, so that it takes any number of groups."""

    def decorate(function: Op) -> Op:
        @functools.wraps(function)
        def apply(a: jax.Array, b: jax.Array, geometry: Geometry, *rest: Any, **options: Any) -> jax.Array:
            if geometry.groups == 1:
                return function(a, b, geometry, *rest, **options)
            alone = geometry.with_groups(1)
            mapped = (
                _split(array, AXES[role][GROUPED_LETTER[role]], geometry.groups)
                for role, array in zip(OPERANDS[op], (a, b), strict=True)
            )
            result = jax.vmap(lambda a, b: function(a, b, alone, *rest, **options))(*mapped)
            return _join(result, AXES[RESULT[op]][GROUPED_LETTER[RESULT[op]]])

        return apply

    return decorate


def _split(array: jax.Array, axis: int, groups: int) -> jax.Array:
    axis %= array.ndim
    shape = (*array.shape[:axis], groups, array.shape[axis] // groups, *array.shape[axis + 1 :])
    return jnp.moveaxis(array.reshape(shape), axis, 0)


def _join(array: jax.Array, axis: int) -> jax.Array:
    axis %= array.ndim - 1
    split = jnp.moveaxis(array, 0, axis)
    return split.reshape(*split.shape[:axis], split.shape[axis] * split.shape[axis + 1], *split.shape[axis + 2 :])
