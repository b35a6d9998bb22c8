"""The walk over a linen module: its layers, their arrays, and what torch calls them.

linen gives the items of a list in `setup`, and of an `nn.Sequential`, names such as `blocks_0` and `layers_0`; torch
calls them `blocks.0` and `0`. A checkpoint may have either.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util

from .layer_types import is_known
from .model import Hints, Layer, Slot, check_hints, make_layer
from .recurrent import CELL, FORWARD, REVERSE, Mark, Path, both_directions, item_steps, part_steps

# What a checkpoint fills; other collections, such as caches, keep what `init` gives them.
COLLECTIONS = ("params", "batch_stats")


class Paths:
    """The modules that a linen module calls, in order, and what torch calls each of them."""

    def __init__(self) -> None:
        self.modules: dict[Path, nn.Module] = {}
        self._ranks: dict[Path, tuple[int, ...]] = {}
        # The parts of recurrent modules, which linen may put elsewhere: by path, the module's path and torch's mark.
        self._parts: dict[Path, tuple[Path, Mark]] = {}
        self._places: dict[Path, tuple[tuple[Path, ...], ...]] = {}
        # Modules in what did not make them, or under a second name, by their identity and their place there.
        self._held: dict[int, dict[tuple[Path, Path], nn.Module]] = {}
        self._counts: dict[Path, int] = {}

    def note(self, module: nn.Module) -> None:
        """Adds a module that is being called, unless it is known."""
        path = module.path
        if len(vars(module)) != self._counts.get(path):  # within `setup` there are fewer
            self._counts[path] = len(vars(module))
            self._note_held(module)
        if path in self.modules:
            return
        self.modules[path] = module
        self._places.clear()
        attributes = _attributes(module.parent)
        _, rank = _item(module.parent, path[-1], attributes) if path else ([], ())
        # What `setup` does not define is in the order of the calls.
        self._ranks[path] = rank or (len(attributes), len(self.modules))
        if isinstance(module, nn.RNN):
            self._parts[module.cell.path] = (path, CELL)
        elif isinstance(module, nn.Bidirectional) and (both := both_directions(module)):
            self._parts |= {rnn.path: (path, mark) for rnn, mark in zip(both, (FORWARD, REVERSE), strict=True)}

    def places(self, path: Path) -> tuple[tuple[Path, ...], ...]:
        """The paths in torch of the module at `path`: for each place that shares it, the spellings, linen's first.

        What is known of them grows until the module that holds them all has been called.
        """
        if path not in self._places:
            self._places[path] = tuple(map(tuple, self._found(path)))
        return self._places[path]

    def _found(self, path: Path) -> Iterator[Iterable[Path]]:
        if path in self._parts:
            whole, mark = self._parts[path]
            yield from ([(*names, mark) for names in spellings] for spellings in self.places(whole))
        elif path in self.modules and path:
            module = self.modules[path]
            steps, _ = _item(module.parent, path[-1], _attributes(module.parent))
            yield from (dict.fromkeys(_spellings(names, path[-1], steps)) for names in self.places(path[:-1]))
            for (holder, others), part in self._held.get(id(module), {}).items():
                if part is module and holder[: len(path)] != path:
                    yield from ([(*names[-1], *others)] for names in self.places(holder))
        else:
            yield [path]

    def _note_held(self, holder: nn.Module) -> None:
        """Notes the modules that a module was given, or has under a second name."""
        for attribute, value in _attributes(holder).items():
            inside = () if isinstance(holder, nn.Sequential) and attribute == "layers" else (attribute,)
            for steps, part in _modules_in(value) if attribute != "parent" else ():
                if part.parent is not holder or not (steps or part.name == attribute):
                    self._held.setdefault(id(part), {})[holder.path, (*inside, *steps)] = part
                    self._places.clear()

    def order(self, path: Path) -> list[tuple[int, ...]]:
        """A key to sort paths in the order in which the modules are defined, in `setup` or by their calls."""
        return [self._ranks.get(path[: n + 1], ()) for n in range(len(path))]


def _attributes(module: Any) -> Mapping[str, Any]:
    return vars(module) if isinstance(module, nn.Module) else {}


def _spellings(above: Sequence[Path], name: str, steps: Sequence[Path]) -> Iterator[Path]:
    """What torch may call the child that linen calls `name`: linen's own names, then torch's, then those with marks."""
    yield (*above[0], name)
    marked = [path for path in above if any(isinstance(step, Mark) for step in path)]
    plain = [path for path in above if path not in marked]
    yield from ((*path, *step) for path in (*plain[-1:], *marked) for step in steps)


def _item(parent: Any, name: str, attributes: Mapping[str, Any]) -> tuple[list[Path], tuple[int, ...]]:
    """The steps in torch to the child that linen calls `name`, and where the parent defines it, if in an attribute.

    linen joins the names of a container and of its item.
    """
    for n, (attribute, value) in enumerate(attributes.items()):
        if attribute == name:
            steps = part_steps(parent, value, (name,))
            # torch lists the forward direction first.
            return steps, (len(attributes) if REVERSE in steps[-1] else n,)
        item = name.removeprefix(f"{attribute}_")
        found = None if item == name else _within(value, item)
        if found is None:
            continue
        inside = () if isinstance(parent, nn.Sequential) and attribute == "layers" else (attribute,)
        led, places = (*inside, *found[0]), found[1]
        if isinstance(value, list | tuple) and len(places) == 1:
            return item_steps(value, places[0], led), (n, *places)
        return [led], (n, *places)
    return [(name,)], ()


def _modules_in(value: Any) -> Iterator[tuple[Path, nn.Module]]:
    """The modules that something is or holds, with the steps to them."""
    if isinstance(value, nn.Module):
        yield (), value
    for key, item in _items(value).items():
        yield from (((key, *steps), part) for steps, part in _modules_in(item))


def _items(container: Any) -> Mapping[str, Any]:
    """What a list or a mapping holds, by the names that linen gives it there."""
    if isinstance(container, list | tuple):
        return {str(n): item for n, item in enumerate(container)}
    return container if isinstance(container, Mapping) else {}


def _within(container: Any, name: str) -> tuple[Path, tuple[int, ...]] | None:
    """The steps to the item of a list or a mapping that linen calls `name` there, and their numbers; None for none."""
    for n, (key, item) in enumerate(_items(container).items()):
        if name == key and isinstance(item, nn.Module):
            return (key,), (n,)
        inner = _within(item, name.removeprefix(f"{key}_")) if name.startswith(f"{key}_") else None
        if inner is not None:
            return (key, *inner[0]), (n, *inner[1])
    return None


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
    return shapes, arrange(shapes, called, hints)


def arrange(shapes: Mapping[Path, Any], called: Paths, hints: Hints) -> list[Layer]:
    """The layers that hold these variables, of the modules that were called, in the order of their definition."""
    arrays: dict[Path, dict[str, Slot]] = {}
    for place, leaf in shapes.items():
        if place[0] in COLLECTIONS:
            holder = place[1:-1]
            # The outermost layer of a known type around the array, else the module that holds it.
            around = (holder[:n] for n in range(len(holder) + 1))
            path = next((outer for outer in around if is_known(called.modules.get(outer))), holder)
            name = ".".join(place[1 + len(path) :])
            arrays.setdefault(path, {})[name] = Slot(tuple(leaf.shape), np.dtype(leaf.dtype), ".".join(place), place)
    for path, module in called.modules.items():
        if getattr(module, "torch_only", ()):
            arrays.setdefault(path, {})
    layers = [
        make_layer(path, called.places(path), called.modules.get(path), arrays[path], hints)
        for path in sorted(arrays, key=called.order)
    ]
    check_hints(hints, layers)
    return layers


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
