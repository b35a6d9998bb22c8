"""The walk over an nnx model: its layers, their arrays, and what torch calls them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from flax import nnx

from .layer_types import is_known
from .model import CELL, Hints, Layer, Path, Place, Slot, check_hints, dotted, make_layer

Variables = dict[Place, nnx.Variable[Any]]


def find_layers(model: nnx.Module, hints: Hints) -> tuple[list[Layer], Variables]:
    """The model's layers, in the order in which they are defined, and its variables by their identity."""
    if not isinstance(model, nnx.Module):
        raise TypeError(
            f"model must be an nnx model, got {type(model).__name__}; for linen there are linen_variables and "
            "linen_state_dict"
        )
    found: dict[int, tuple[nnx.Module, Path, list[Path]]] = {}
    within: Path | None = None
    for path, torch_path, module in _walk(model):
        if within is not None and path[: len(within)] == within:
            continue  # a part of the layer before
        within = path if is_known(module) else None
        found.setdefault(id(module), (module, path, []))[-1].append(torch_path)
    layers: list[Layer] = []
    variables: Variables = {}
    for module, path, places in found.values():
        slots = {}
        for name, variable in _arrays(module).items():
            dtype, full_name = np.dtype(variable.dtype), ".".join((*path, name))
            slots[name] = Slot(tuple(variable.shape), dtype, full_name, id(variable))
            variables[id(variable)] = variable
        if slots:
            layers.append(make_layer([[place] for place in places], module, slots, hints))
    check_hints(hints, layers)
    return layers, variables


def keeps_definition_order(model: nnx.Module) -> bool:
    """Whether the layers come in the order in which the model's code defines them.

    What nnx takes apart and puts together again, as `nnx.eval_shape`, `nnx.clone` and `nnx.jit` do, has its attributes
    sorted by name, including nnx's own.
    """
    modules = [module for _, _, module in _walk(model)]
    named = [module for module in modules if sum(isinstance(key, str) for key in _children(module)) > 1]
    return all(list(vars(module)) != sorted(vars(module)) for module in named)


def module_names(model: nnx.Module) -> dict[int, tuple[str, ...]]:
    """What torch may call each module of the model, by its identity."""
    names: dict[int, tuple[str, ...]] = {}
    for _, torch_path, module in _walk(model):
        names[id(module)] = (*names.get(id(module), ()), dotted(torch_path))
    return names


def _walk(
    node: Any, path: Path = (), torch_path: Path = (), above: tuple[int, ...] = ()
) -> Iterator[tuple[Path, Path, nnx.Module]]:
    """Every module, at every place in the model, in order of definition: its path in Flax, in torch, and itself."""
    if id(node) in above:
        return
    if isinstance(node, nnx.Module):
        yield path, torch_path, node
    for key, child in _children(node).items():
        yield from _walk(child, (*path, str(key)), _step(node, torch_path, key), (*above, id(node)))


def _children(node: Any) -> dict[Any, Any]:
    """The modules, lists and dicts that a node holds, in order of definition."""
    children = dict(nnx.iter_children(node, graph=True))
    defined = {name: n for n, name in enumerate(vars(node))}
    # A list's items have numbers, which are in order.
    nodes = {key: children[key] for key in sorted(children, key=lambda key: defined.get(key, -1))}
    return {k: n for k, n in nodes.items() if isinstance(n, nnx.Pytree) and not isinstance(n, nnx.Variable)}


def _arrays(module: nnx.Module) -> dict[str, nnx.Variable[Any]]:
    """The arrays that a module holds: with those of the layers within it, if it is of a known type."""
    # Most layers hold no others, and asking nnx takes longer than loading them.
    holds_others = any(isinstance(value, nnx.Module | nnx.List | nnx.Dict) for value in vars(module).values())
    parts = nnx.iter_modules(module, graph=True) if holds_others and is_known(module) else [((), module)]
    return {
        ".".join(map(str, (*inner, name))): value
        for inner, part in parts
        for name, value in vars(part).items()
        if isinstance(value, nnx.Param | nnx.BatchStat)
    }


def _step(node: Any, torch_path: Path, key: Any) -> Path:
    """The torch path of a child: torch has no name for the list in which an nnx.Sequential keeps its items."""
    if isinstance(node, nnx.Sequential) and key == "layers":
        return torch_path
    return (*torch_path, CELL if isinstance(node, nnx.RNN) and key == "cell" else str(key))
