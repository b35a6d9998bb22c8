"""vmap of the three ops: the mapped axis joins an axis the op has already, so that one op remains one op.

With one operand mapped, it joins the letter which that operand shares with the result: the batch N, or the channels I
or O, inside each group. With both mapped, each example becomes a group of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jax_tconv._call.call import AXES, GROUPED_LETTER, OPERANDS, RESULT, Call, Op, Role, shared_letter
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.products import join_axis, split_axis


def batch_rule(
    op: Op,
    bind: Callable[..., jax.Array],
    operands: Sequence[jax.Array],
    mapped_axes: Sequence[int | None],
    *,
    geometry: Geometry,
    **params: Any,
) -> tuple[jax.Array, int]:
    """The batching rule of `op`, as `jax.interpreters.batching` wants it: the result and its mapped axis."""
    arrays = dict(zip(OPERANDS[op], operands, strict=True))
    mapped = {role: axis for role, axis in zip(OPERANDS[op], mapped_axes, strict=True) if axis is not None}
    for role, axis in mapped.items():
        arrays[role] = jnp.moveaxis(arrays[role], axis, 0)
    result, (first, *rest) = RESULT[op], mapped
    size = arrays[first].shape[0]
    if isinstance(size, int) and size == 0:
        a, b = (arrays[role].shape[1 if role in mapped else 0 :] for role in arrays)
        return jnp.zeros((0, *Call.of(op, a, b, geometry).shape(result)), params["dtype"]), 0

    if rest:
        letters, groups, folded = GROUPED_LETTER, 1, geometry.with_groups(geometry.groups * size)
    else:
        letters, groups, folded = dict.fromkeys(AXES, shared_letter(first, result)), geometry.groups, geometry
    for role in mapped:
        arrays[role] = join_axis(arrays[role], *_place(role, letters[role], groups))
    out = bind(op, *arrays.values(), geometry=folded, **params)
    axis, within = _place(result, letters[result], groups)
    return split_axis(out, axis, size, within), 0


def _place(role: Role, letter: str, groups: int) -> tuple[int, int]:
    """Which axis of array `role` the mapped axis joins, and how many groups that runs through."""
    # The batch runs through none, nor does O in w.
    return AXES[role][letter], groups if GROUPED_LETTER[role] == letter else 1
