"""vmap of T, C and W: the mapped axis joins an axis the op has already, so that one op remains one op.

With one operand mapped, it joins the letter which that operand shares with the result: the batch N, or the channels I
or O, inside each group. With both mapped, each example becomes a group of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jax_tconv._call.geometry import Geometry
from jax_tconv._call.roles import AXES, GROUPED_LETTER, OPERANDS, RESULT, groups_within, result_shape, shared_letter


def batch_rule(
    op: str,
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
        shapes = [arrays[role].shape[1 if role in mapped else 0 :] for role in arrays]
        return jnp.zeros((0, *result_shape(op, shapes[0], shapes[1], geometry)), params["dtype"]), 0

    if rest:
        letters, groups, folded = GROUPED_LETTER, 1, geometry.with_groups(geometry.groups * size)
    else:
        letters, groups, folded = dict.fromkeys(AXES, shared_letter(first, result)), geometry.groups, geometry
    for role in mapped:
        arrays[role] = _fold(arrays[role], *_place(role, letters[role], groups))
    out = bind(op, *arrays.values(), geometry=folded, **params)
    return _unfold(out, size, *_place(result, letters[result], groups)), 0


def _place(role: str, letter: str, groups: int) -> tuple[int, int]:
    """Which axis of array `role` the mapped axis joins, and how many groups it is repeated in there."""
    return AXES[role][letter], groups_within(role, letter, groups)


def _fold(array: jax.Array, axis: int, groups: int) -> jax.Array:
    """Moves the leading, mapped axis into `axis` (counted without it), inside each of the groups there."""
    size, *shape = array.shape
    axis %= len(shape)
    split = array.reshape(size, *shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
    return jnp.moveaxis(split, 0, axis + 1).reshape(*shape[:axis], size * shape[axis], *shape[axis + 1 :])


def _unfold(array: jax.Array, size: int, axis: int, groups: int) -> jax.Array:
    """Undoes `_fold`: takes a leading axis of `size` out of `axis`."""
    shape = array.shape
    axis %= len(shape)
    inner = shape[axis] // (groups * size)
    split = array.reshape(*shape[:axis], groups, size, inner, *shape[axis + 1 :])
    return jnp.moveaxis(split, axis + 1, 0).reshape(size, *shape[:axis], groups * inner, *shape[axis + 1 :])
