"""A grouped op as ungrouped ones: side by side, or mapped over the groups so that products become batched products.

XLA's own grouped convolution gathers a batch-sharded input on every device, and is slow on a CPU; these do neither. The
program grows with the groups side by side, and not with those mapped over, whose products are slower.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jax_tconv._call.geometry import Geometry
from jax_tconv._call.roles import AXES, GROUPED_LETTER, OPERANDS, RESULT

Op = Callable[..., jax.Array]


def by_group(op: str, function: Op) -> Op:
    """A method's form of `op`, applied group by group."""

    def apply(a: jax.Array, b: jax.Array, geometry: Geometry, *rest: Any) -> jax.Array:
        split = (
            jnp.split(array, geometry.groups, AXES[role][GROUPED_LETTER[role]])
            for role, array in zip(OPERANDS[op], (a, b), strict=True)
        )
        alone = geometry.with_groups(1)
        results = [function(u, v, alone, *rest) for u, v in zip(*split, strict=True)]
        return jnp.concatenate(results, AXES[RESULT[op]][GROUPED_LETTER[RESULT[op]]])

    return apply


def over_groups(op: str) -> Callable[[Op], Op]:
    """Decorates a method's ungrouped form of `op`, so that it takes any number of groups.

    The form sees the arrays of one group; its geometry still tells their number, for the size of what they hold in all.
    """

    def decorate(function: Op) -> Op:
        @functools.wraps(function)
        def apply(a: jax.Array, b: jax.Array, geometry: Geometry, *rest: Any, **options: Any) -> jax.Array:
            if geometry.groups == 1:
                return function(a, b, geometry, *rest, **options)
            mapped = (
                _split(array, AXES[role][GROUPED_LETTER[role]], geometry.groups)
                for role, array in zip(OPERANDS[op], (a, b), strict=True)
            )
            result = jax.vmap(lambda a, b: function(a, b, geometry, *rest, **options))(*mapped)
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
