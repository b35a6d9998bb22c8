"""Orbax checkpoints: folders of arrays in a tree."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from jax.sharding import SingleDeviceSharding

from .refusal import reading

# What an Orbax checkpoint has, whatever it holds.
_METADATA = "_CHECKPOINT_METADATA"


def is_orbax(path: Path) -> bool:
    """Whether a path is the folder of an Orbax checkpoint."""
    with reading(path):
        return (path / _METADATA).exists()


def orbax_shapes(path: Path) -> dict[str, jax.ShapeDtypeStruct]:
    """The shape and dtype of each array of a checkpoint, by its dotted path in the tree."""
    leaves, _ = jax.tree.flatten_with_path(_metadata(path), is_leaf=_is_array)
    return {_name(keys): jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for keys, leaf in leaves}


def restore_orbax(path: Path, shardings: Mapping[str, Any]) -> dict[str, jax.Array]:
    """The arrays by their dotted paths, each read into its sharding, or onto the first device if that is None."""
    import orbax.checkpoint  # type: ignore[import-untyped]  # takes seconds, and few need it

    def target(keys: Any, leaf: Any) -> jax.ShapeDtypeStruct:
        sharding = shardings[_name(keys)] or SingleDeviceSharding(jax.local_devices()[0])
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    targets = jax.tree.map_with_path(target, _metadata(path), is_leaf=_is_array)
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(path.absolute(), targets)
    return {_name(keys): leaf for keys, leaf in jax.tree.leaves_with_path(restored)}


def _metadata(path: Path) -> Any:
    """The checkpoint's tree, with a description of each array for its leaves."""
    import orbax.checkpoint

    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        return checkpointer.metadata(path.absolute()).item_metadata.tree


def _is_array(node: Any) -> bool:
    return hasattr(node, "shape")


def _name(keys: Any) -> str:
    return jax.tree_util.keystr(keys, simple=True, separator=".")
