"""The walk over an nnx model: its layers, their arrays, and what torch calls them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from flax import nnx

from .layer_types import is_known
from .model import Hints, Layer, Place, Slot, check_hints, make_layer
from .recurrent import CELL, REVERSE, Path, dotted, is_torch_module, item_steps, part_steps

Variables = dict[Place, nnx.Variable[Any]]


def find_layers(model: nnx.Module, hints: Hints) -> tuple[list[Layer], Variables]:
    """The model's layers, in the order in which they are defined, and its variables by their identity."""
    if not isinstance(model, nnx.Module):
        raise TypeError(
            f"model must be an nnx model, got {type(model).__name__}; for linen there are linen_variables and "
            "linen_state_dict"
        )
    found: dict[int, tuple[nnx.Module, Path, list[list[Path]]]] = {}
    within: Path | None = None
    for path, spellings, module in _walk(model):
        if within is not None and path[: len(within)] == within:
            continue  # a part of the layer before
        within = path if is_known(module) else None
        found.setdefault(id(module), (module, path, []))[-1].append(spellings)
    layers: list[Layer] = []
    variables: Variables = {}
    for module, path, places in found.values():
        slots = {}
        for name, variable in _arrays(module).items():
            dtype, full_name = np.dtype(variable.dtype), ".".join((*path, name))
            slots[name] = Slot(tuple(variable.shape), dtype, full_name, id(variable))
            variables[id(variable)] = variable
        if slots:
            layers.append(make_layer(path, places, module, slots, hints))
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


def module_places(model: nnx.Module) -> dict[int, tuple[Path, tuple[str, ...]]]:
    """The place of each module in the model, by its identity, and what torch may call it."""
    places: dict[int, tuple[Path, tuple[str, ...]]] = {}
    for path, spellings, module in _walk(model):
        first, names = places.get(id(module), (path, ()))
        places[id(module)] = (first, (*names, *map(dotted, filter(is_torch_module, spellings))))
    return places


def _walk(
    node: Any, path: Path = (), spellings: Sequence[Path] = ((),), above: tuple[int, ...] = ()
) -> Iterator[tuple[Path, list[Path], nnx.Module]]:
    """Every module, at every place in the model, in order of definition: its path in Flax, in torch, and itself.

    Its path in torch may have several spellings, the most literal first.
    """
    if id(node) in above:
        return
    if isinstance(node, nnx.Module):
        yield path, [*spellings], node
    children = _children(node)
    items = [*children.values()]
    found = {key: _steps(node, key, items, index) for index, key in enumerate(children)}
    # torch lists the forward direction first.
    for key in sorted(children, key=lambda key: REVERSE in found[key][-1]):
        child, steps = children[key], found[key]
        spelled = [(*before, *step) for before in spellings for step in steps]
        yield from _walk(child, (*path, str(key)), spelled, (*above, id(node)))


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


def _steps(node: Any, key: Any, items: Sequence[Any], index: int) -> list[Path]:
    """The steps in torch from a node to one of the items in it.

    torch has no name for the list in which an nnx.Sequential keeps its items.
    """
    if isinstance(node, nnx.Sequential) and key == "layers":
        return [()]
    if isinstance(node, nnx.RNN) and key == "cell":
        return [(CELL,)]
    if isinstance(node, nnx.List):
        return item_steps(items, index, (str(key),))
    return part_steps(node, items[index], (str(key),))
