"""How each part of a network is made: layers, lists, Sequentials, and instances of classes that are written too."""

import ast
from collections.abc import Iterator
from typing import Any

import torch

from .checking import place_of
from .code import Expression, call, literal, name, same
from .emitting import Body, Untranslatable, dtype
from .folded import folded_weights, parts_of_folded
from .graph import Frame, Refusal
from .instances import Instance, Network
from .layers import is_layer, made
from .written import written


class Construction:
    """Expressions that make the parts of instances; a class that is not written yet is called `@` and its number."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._places = _places(network.root.module)

    def attributes(self, instance: Instance) -> list[tuple[str, Expression]]:
        """What the instance's `__init__` sets, in torch's order."""
        module = instance.module
        parts = parts_of_folded(module)
        own = {word: tensor for word, tensor in module._parameters.items() if tensor is not None and word not in parts}
        found = [(word, self._parameter(tensor)) for word, tensor in {**folded_weights(module), **own}.items()]
        found += [(word, self._buffer(tensor)) for word, tensor in _buffers(module) if word not in parts]
        for word, child in module._modules.items():
            made_as = None if child is None or word in parts else self._first(child, (*instance.path, word))
            if made_as is not None:
                found.append((word, made_as))
        return found + [(word, written(layer)) for word, layer in instance.body.extras.items()]

    def items(self, instance: Instance) -> list[Expression]:
        """The items of an instance that is a Sequential."""
        return self._items(instance.module, instance.path)

    def links(self, instance: Instance) -> list[tuple[Expression, Expression]]:
        """What is at several places below the instance, and below no other first: each later place, and the first."""
        found = []
        for first, *others in self._places.values():
            for other in others:
                if self._holder(first, other) is instance:
                    below = len(instance.path)
                    ends = [self.network.reached(instance.module, path[below:]) for path in (other, first)]
                    found.append((ends[0], ends[1]))
        return found

    def _holder(self, first: tuple[str, ...], other: tuple[str, ...]) -> Instance:
        """The innermost instance that both places are in."""
        instances = {instance.path: instance for instance in self.network.instances.values()}
        shared = next(n for n, (a, b) in enumerate(zip(first, other, strict=False)) if a != b)
        return next(instances[first[:n]] for n in range(shared, -1, -1) if first[:n] in instances)

    def _first(self, module: Any, path: tuple[str, ...]) -> Expression | None:
        """What makes a module at its first place; at others it is put there by `links`."""
        places = self._places.get(id(module), [path])
        return self.part(module, path) if path not in places or path == places[0] else None

    def part(self, module: Any, path: tuple[str, ...]) -> Expression | None:
        """The expression that makes a module; None if there is nothing to make."""
        if module is None:
            return None
        if is_layer(module):
            try:
                return written(made(module, self.network.given.get(id(module))))
            except Untranslatable as refused:
                self.network.refused.append(Refusal(path, place_of(module), refused.reason, refused.advice))
                return None
        if id(module) in self.network.instances:
            return call(f"@{id(module)}")
        if isinstance(module, torch.nn.ModuleDict):
            named = {key: self._item(child, (*path, key)) for key, child in module._modules.items()}
            return call("nnx.Dict", **named) if all(map(str.isidentifier, named)) else call("nnx.Dict", named)
        if id(module) in self.network.items:
            return call("nnx.Sequential", *self._items(module, path))
        if isinstance(module, torch.nn.ModuleList) or type(module) is torch.nn.Sequential:
            items = [self._item(child, (*path, word)) for word, child in module._modules.items()]
            return call("nnx.List", items) if items else None
        # What is called may be in what is not.
        if any(True for _ in module.parameters()) or any(id(m) in self.network.instances for m in module.modules()):
            return self._never_called(module, path)
        return None

    def _items(self, module: Any, path: tuple[str, ...]) -> list[Expression]:
        children = zip(module._modules.items(), self.network.items[id(module)], strict=True)
        return [self._item(child, (*path, word)) if item is None else item for (word, child), item in children]

    def _item(self, module: Any, path: tuple[str, ...]) -> Expression:
        found = self._first(module, path)
        # Its number is taken, so that those after it keep theirs.
        return name("nnx.identity") if found is None else found

    def _never_called(self, module: Any, path: tuple[str, ...]) -> Expression:
        """A module that has parameters and is not called on the example: it is kept for the sake of its tensors."""
        result = call("missing", "PyTorch does not call this module")
        body = Body(["x"], [], result, None, {})
        self.network.instances[id(module)] = Instance(module, path, {}, body, Frame(module, path))
        return call(f"@{id(module)}")

    def _parameter(self, tensor: Any) -> Expression:
        return call("nnx.Param", _initial(tensor, trained=True))

    def _buffer(self, tensor: Any) -> Expression:
        return call("nnx.BatchStat", _initial(tensor, trained=False))


def _places(module: Any) -> dict[int, list[tuple[str, ...]]]:
    """The modules with tensors that stand at several places, and are in nothing that does, with the places."""
    found: dict[int, list[tuple[str, ...]]] = {}

    def walk(module: Any, path: tuple[str, ...]) -> None:
        for word, child in module._modules.items():
            if child is None or not any(True for _ in (*child.parameters(), *child.buffers())):
                continue
            found.setdefault(id(child), []).append((*path, word))
            if len(found[id(child)]) == 1:
                walk(child, (*path, word))

    walk(module, ())
    return {key: places for key, places in found.items() if len(places) > 1}


def _buffers(module: Any) -> Iterator[tuple[str, Any]]:
    for word, tensor in module._buffers.items():
        if tensor is not None and word not in module._non_persistent_buffers_set:
            yield word, tensor


def _initial(tensor: Any, trained: bool) -> Expression:
    shape = literal(tuple(tensor.shape))
    if isinstance(shape, ast.Constant):
        shape.role = "shape"  # type: ignore[attr-defined]
    kind = {} if tensor.dtype == torch.float32 else {"dtype": dtype(tensor.dtype)}
    values = tensor.detach()
    first = values.flatten()[0].item() if values.numel() else 0.0
    if not values.numel() or bool((values == first).all()):
        if first in (0, 1):
            return call("jnp.ones" if first else "jnp.zeros", shape, **kind)
        return call("jnp.full", shape, first, **kind)
    if not trained or not values.is_floating_point():
        return call("jnp.zeros", shape, **kind)
    return call(call("nnx.initializers.normal", 0.02), call("rngs.params"), shape)


def repeated(items: list[Expression]) -> Expression:
    """A list, of equal items as a comprehension."""
    if len(items) > 1 and all(same(item, items[0]) for item in items) and isinstance(items[0], ast.Call):
        source = ast.comprehension(ast.Name("_", ast.Store()), call("range", len(items)), [], 0)
        return ast.ListComp(items[0], [source])
    return ast.List(items, ast.Load())
