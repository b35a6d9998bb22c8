"""The three ops on several devices: under `shard_map` (varying manual axes) and under meshes with explicit axes.

Automatic sharding needs nothing here but the word that there are several: the compiler sees the operations that an op
is lowered to, which then are those that it splits well (`_methods/aligned.py`).
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jax_tconv._call.call import AXES, GROUPED_LETTER, OPERANDS, RESULT, Op, Role
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.rows import vary, varying_axes


def vary_alike(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Casts both operands to the union of the mesh axes they vary over in `shard_map`.

    The cast's own transpose is the sum over devices that a replicated operand's gradient needs.
    """
    axes = varying_axes(jax.typeof(a)) | varying_axes(jax.typeof(b))
    return vary(a, axes), vary(b, axes)


def result_sharding(op: Op, a: Any, b: Any, geometry: Geometry) -> NamedSharding:
    """The sharding of the result: each of its axes is sharded as in the operand that has it.

    Raises ValueError if an explicit mesh axis shards the taps of a kernel or parts of a group, or does not divide the
    rows of the result.
    """
    mesh = a.sharding.mesh if not a.sharding.mesh.empty else b.sharding.mesh
    role = RESULT[op]
    spec: list[Any] = [None] * (geometry.ndim + 2)
    if _explicit(mesh):
        axes = _axes(role, geometry)
        for operand, aval in zip(OPERANDS[op], (a, b), strict=True):
            letters = {at: letter for letter, at in _axes(operand, geometry).items()}
            for axis, name in enumerate(aval.sharding.spec):
                if name is None:
                    continue
                parts = math.prod(mesh.shape[each] for each in _names(name))
                reason = _refusal(letters.get(axis), parts, role, geometry)
                if reason:
                    raise ValueError(
                        f"{op}: axis {axis} of an operand of shape {aval.shape} is sharded over the explicit mesh axis "
                        f"{name!r}, of {parts} devices; {reason}. Use jax.sharding.reshard, or a mesh with "
                        "AxisType.Auto axes"
                    )
                # Over one mesh axis only one axis of the result is sharded: the first operand's.
                used = {each for entry in spec if entry for each in _names(entry)}
                if letters[axis] in axes and not used & set(_names(name)):
                    spec[axes[letters[axis]]] = name
    return NamedSharding(mesh, PartitionSpec(*spec))


def sharded_as(array: jax.Array, aval: Any) -> jax.Array:
    """The array, sharded as an abstract value is over explicit mesh axes: a cotangent must be as what it belongs to."""
    wanted = aval.sharding
    if not _explicit(wanted.mesh) or jax.typeof(array).sharding == wanted:
        return array
    return jax.sharding.reshard(array, wanted)


def _axes(role: Role, geometry: Geometry) -> dict[str, int]:
    """Where an array has each letter; with groups, the axes that are ordered by group are one letter, G.

    The spatial axes of x and y have letters too: those of the kernel are none of them.
    """
    rank = geometry.ndim + 2
    axes = {letter: at % rank for letter, at in AXES[role].items()}
    if geometry.groups > 1:
        axes["G"] = axes.pop(GROUPED_LETTER[role])
    if role != "w":
        axes |= {f"row {number}": 1 + number for number in range(geometry.ndim)}
    return axes


def _refusal(letter: str | None, parts: int, role: Role, geometry: Geometry) -> str | None:
    """Why an axis may not be in so many parts, or None."""
    if letter is None:
        return "the taps of a kernel may not be"
    if letter == "G" and geometry.groups % parts:
        return f"that is no whole number of the {geometry.groups} groups on each"
    if letter == "O" and geometry.groups > 1:
        return "the output channels of one group may not be, only whole groups, on the axis before"
    if letter.startswith("row ") and role != "w":
        sizes = geometry.input_size if role == "x" else geometry.output_size
        rows = sizes[int(letter[4:])]
        if rows % parts:
            return f"they do not divide the {rows} rows of the result"
    return None


def _names(entry: Any) -> tuple[str, ...]:
    return entry if isinstance(entry, tuple) else (entry,)


def _explicit(mesh: Any) -> bool:
    return not mesh.empty and any(kind == AxisType.Explicit for kind in mesh.axis_types)


def lower_automatically(
    compute: Callable[..., jax.Array], a: jax.Array, b: jax.Array, op: Op, geometry: Geometry
) -> jax.Array:
    """Calls `compute(a, b)`; under explicit axes, with the partitioning left to the compiler between its ends."""
    sharding = result_sharding(op, jax.typeof(a), jax.typeof(b), geometry)
    if not _explicit(sharding.mesh):
        return compute(a, b)
    return jax.sharding.auto_axes(compute, out_sharding=sharding)(a, b)


def several_devices(context: Any) -> bool:
    """Whether the program being lowered is partitioned by the compiler over more devices than one.

    Under `shard_map` it is not: its body is one device's.
    """
    axes = context.module_context.axis_context
    mesh = getattr(axes, "mesh", None)
    if mesh is not None:
        return not set(mesh.axis_names) <= set(getattr(axes, "manual_axes", ()))
    return getattr(axes, "num_devices", 1) > 1
