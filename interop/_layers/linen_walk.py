"""The walk over a linen module: its layers, their arrays, and what torch calls them.

linen gives the items of a list in `setup`, and of an `nn.Sequential`, names such as `blocks_0` and `layers_0`; torch
calls them `blocks.0` and `0`. A checkpoint may have either.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util

from .layer_types import is_known
from .model import CELL, Hints, Layer, Path, Slot, check_hints, make_layer

# What a checkpoint fills; other collections, such as caches, keep what `init` gives them.
COLLECTIONS = ("params", "batch_stats")


class Paths:
    """The modules that a linen module calls, in order, and what torch calls each of them."""

    def __init__(self) -> None:
        self.modules: dict[Path, nn.Module] = {}
        # For each path its places in torch, and for each place its spellings, linen's own first.
        self._spelled: dict[Path, tuple[tuple[Path, ...], ...]] = {}
        self._ranks: dict[Path, tuple[int, ...]] = {}

    def note(self, module: nn.Module) -> None:
        """Adds a module that is being called, unless it is known."""
        path, parent = module.path, module.parent
        if path in self.modules:
            return
        self.modules[path] = module
        if path and path not in self._spelled:
            attributes = vars(parent) if isinstance(parent, nn.Module) else {}
            aliases = [name for name, value in attributes.items() if value is module and name != path[-1]]
            last, rank = _item(parent, path[-1], attributes)
            above = self.places(path[:-1])
            places = [tuple(dict.fromkeys(((*names[0], path[-1]), (*names[-1], *last)))) for names in above]
            places += [((*names[-1], other),) for names in above for other in aliases]
            self._spelled[path] = tuple(places)
            # What `setup` does not define is in the order of the calls.
            self._ranks[path] = rank or (len(attributes), len(self.modules))
        if isinstance(module, nn.RNN):
            self._spelled[(*path, "cell")] = tuple(((*names[-1], CELL),) for names in self.places(path))

    def places(self, path: Path) -> tuple[tuple[Path, ...], ...]:
        """The paths in torch of the module at `path`: for each place that shares it, the spellings."""
        return self._spelled.get(path) or ((path,),)

    def order(self, path: Path) -> list[tuple[int, ...]]:
        """A key to sort paths in the order in which the modules are defined, in `setup` or by their calls."""
        return [self._ranks.get(path[: n + 1], ()) for n in range(len(path))]


def _item(parent: Any, name: str, attributes: Mapping[str, Any]) -> tuple[Path, tuple[int, ...]]:
    """What torch calls the child that linen calls `name`, and where the parent defines it, if it is an attribute.

    linen joins the names of a container and of its item.
    """
    for n, (attribute, value) in enumerate(attributes.items()):
        if attribute == name:
            return (name,), (n,)
        item = name.removeprefix(f"{attribute}_")
        if item == name:
            continue
        inside = () if isinstance(parent, nn.Sequential) and attribute == "layers" else (attribute,)
        if isinstance(value, Mapping) and item in value:
            return (*inside, item), (n, list(value).index(item))
        if isinstance(value, list | tuple) and all(part.isdigit() for part in item.split("_")):
            return (*inside, *item.split("_")), (n, *map(int, item.split("_")))
    return (name,), ()


def find_layers(
    module: nn.Module, example_inputs: tuple[Any, ...], hints: Hints
) -> tuple[dict[Path, Any], list[Layer]]:
    """The shapes of the module's variables by their place, and its layers in the order in which they are defined."""
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module must be a linen module, got {type(module).__name__}; for nnx there are load_state_dict and "
            "state_dict"
        )
    shapes, called = _call(module, example_inputs)
    arrays: dict[Path, dict[str, Slot]] = {}
    for place, leaf in shapes.items():
        if place[0] in COLLECTIONS:
            holder = place[1:-1]
            # The outermost layer of a known type around the array, else the module that holds it.
            around = (holder[:n] for n in range(len(holder) + 1))
            path = next((outer for outer in around if is_known(called.modules.get(outer))), holder)
            name = ".".join(place[1 + len(path) :])
            arrays.setdefault(path, {})[name] = Slot(tuple(leaf.shape), np.dtype(leaf.dtype), ".".join(place), place)
    layers = [
        make_layer(called.places(path), called.modules.get(path), arrays[path], hints)
        for path in sorted(arrays, key=called.order)
    ]
    check_hints(hints, layers)
    return shapes, layers


def _call(module: nn.Module, example_inputs: tuple[Any, ...]) -> tuple[dict[Path, Any], Paths]:
    """The shapes of the module's variables, and the modules that it calls."""
    called = Paths()

    def note(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        called.note(context.module)
        return call(*args, **kwargs)

    arrays, init = _init(module, example_inputs)
    try:
        with nn.intercept_methods(note):
            return jax.eval_shape(init, arrays), called
    except TypeError as error:
        if example_inputs:
            raise
        raise TypeError(f"example_inputs must be what the module is called with; got none: {error}") from error


def initial_values(module: nn.Module, example_inputs: tuple[Any, ...], places: Collection[Path]) -> dict[Path, Any]:
    """What `module.init` gives the variables at these places; no others are computed."""
    if not places:
        return {}
    arrays, init = _init(module, example_inputs)

    def wanted(inputs: Any) -> dict[Path, Any]:
        made = init(inputs)
        return {place: made[place] for place in places}

    return jax.jit(wanted)({n: jnp.zeros(value.shape, value.dtype) for n, value in arrays.items()})


def _init(
    module: nn.Module, example_inputs: tuple[Any, ...]
) -> tuple[dict[int, Any], Callable[[Any], dict[Path, Any]]]:
    """The inputs that are arrays, by position, and a function of them: the variables that `module.init` makes."""

    def variables(arrays: Mapping[int, Any]) -> dict[Path, Any]:
        inputs = [arrays.get(n, value) for n, value in enumerate(example_inputs)]
        return traverse_util.flatten_dict(nn.meta.unbox(module.init(jax.random.key(0), *inputs)))

    return {n: value for n, value in enumerate(example_inputs) if hasattr(value, "shape")}, variables
