"""A grouped op as separate ungrouped ones, side by side.

XLA's compiler gathers a batch-sharded input on every device before a grouped convolution, and computes it slowly on a
CPU; it does neither with ungrouped convolutions.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jax_tconv.geometry import Geometry
from jax_tconv.roles import AXES, GROUPED_LETTER, OPERANDS, RESULT


def by_group(op: str, function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """`function`, a method's form of `op`, applied group by group."""

    def apply(a: jax.Array, b: jax.Array, geometry: Geometry, *rest: Any) -> jax.Array:
        split = (
            jnp.split(array, geometry.groups, AXES[role][GROUPED_LETTER[role]])
            for role, array in zip(OPERANDS[op], (a, b), strict=True)
        )
        alone = geometry.with_groups(1)
        results = [function(u, v, alone, *rest) for u, v in zip(*split, strict=True)]
        return jnp.concatenate(results, AXES[RESULT[op]][GROUPED_LETTER[RESULT[op]]])

    return apply
