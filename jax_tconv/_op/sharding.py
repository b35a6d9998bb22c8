"""The three ops on several devices: under `shard_map` (varying manual axes) and under meshes with explicit axes.

Automatic sharding needs nothing here: the compiler sees the operations that an op is lowered to.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jax_tconv._call.call import AXES, OPERANDS, RESULT, Op, Role
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.rows import vary, varying_axes


def vary_alike(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Casts both operands to the union of the mesh axes they vary over in `shard_map`.

    The cast's own transpose is the sum over devices that a replicated operand's gradient needs.
    """
    axes = varying_axes(jax.typeof(a)) | varying_axes(jax.typeof(b))
    return vary(a, axes), vary(b, axes)


def result_sharding(op: Op, a: Any, b: Any, geometry: Geometry) -> NamedSharding:
    """The sharding of the result: each of its letters is sharded as in the operand that has it.

    Raises ValueError if a spatial axis, or a channel axis of a grouped op, is sharded over an explicit mesh axis.
    """
    mesh = a.sharding.mesh if not a.sharding.mesh.empty else b.sharding.mesh
    rank = geometry.ndim + 2
    spec: list[Any] = [None] * rank
    if _explicit(mesh):
        result_axes = AXES[RESULT[op]]
        for role, aval in zip(OPERANDS[op], (a, b), strict=True):
            for axis, name in enumerate(aval.sharding.spec):
                letter = _letter_at(role, axis, rank)
                if name is None:
                    continue
                if letter is None or (geometry.groups > 1 and letter != "N"):
                    raise ValueError(
                        f"{op}: axis {axis} of an operand of shape {aval.shape} is sharded over the explicit mesh axis "
                        f"{name!r}; only the batch axis may be, and the channel axes where groups == 1. Use "
                        "jax.sharding.reshard, or a mesh with AxisType.Auto axes"
                    )
                if letter in result_axes:
                    spec[result_axes[letter]] = name
    return NamedSharding(mesh, PartitionSpec(*spec))


def _letter_at(role: Role, axis: int, rank: int) -> str | None:
    return next((letter for letter, at in AXES[role].items() if at % rank == axis), None)


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

    Then a loop that sums would hold a sum over devices in each of its steps. Under `shard_map`, whose body is one
    device's, it would not.
    """
    axes = context.module_context.axis_context
    mesh = getattr(axes, "mesh", None)
    if mesh is not None:
        return not set(mesh.axis_names) <= set(getattr(axes, "manual_axes", ()))
    return getattr(axes, "num_devices", 1) > 1
