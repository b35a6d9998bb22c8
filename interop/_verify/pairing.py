"""Which layer of the Flax model is which of the PyTorch one."""

import dataclasses
from collections.abc import Iterable, Mapping, Set
from typing import Any

from .._convert.naming import Rename, new_names
from .._convert.plan import Filling
from .._layers.recurrent import Path
from .runs import Layer, Run


@dataclasses.dataclass(frozen=True)
class Pair:
    """One layer on both sides, and for each of its arrays what the conversion fills it with and what it has."""

    name: str
    torch: Layer
    flax: Layer
    fillings: tuple[tuple[Filling, Any], ...] = ()

    @property
    def is_layer(self) -> bool:
        """Whether it is one layer on both sides, and not made of others."""
        return self.torch.leaf and self.flax.leaf

    @property
    def tensors(self) -> list[str]:
        """The names of the tensors that fill its arrays."""
        sources = (source for filling, _ in self.fillings for source in filling.sources.values())
        return [part for source in sources for part in source.parts]


def pair_layers(
    theirs: Run,
    ours: Run,
    fillings: Iterable[Filling],
    arrays: Mapping[Any, Any],
    rename: Rename,
    collections: bool,
) -> list[Pair]:
    """The layers that both models called, in PyTorch's order.

    A layer with arrays belongs to the module whose tensors the conversion fills them with, any other to the module of
    its name. `arrays` are Flax's, by their places; `collections` says whether their paths begin with a collection.
    """
    by_name = {name: layer for layer in theirs.layers.values() for name in layer.names}
    found: dict[tuple[int, int], Pair] = {}
    for filling in fillings:
        (part, *_) = (part for source in filling.sources.values() for part in source.parts)
        name = _module_of(part, by_name)
        twin = _holder(tuple(filling.slot.path.split("."))[collections:], ours)
        if name is not None and twin is not None and by_name[name].leaf:
            key = (by_name[name].rank, twin.rank)
            before = found.get(key, Pair(name, by_name[name], twin))
            found[key] = dataclasses.replace(before, fillings=(*before.fillings, (filling, arrays[filling.slot.place])))
    taken = {rank for pair in found for rank in pair[:1]}
    left = {layer.rank: layer for layer in ours.layers.values()}
    for _, rank in found:
        left.pop(rank, None)
    called = {name: layer for layer in left.values() for name in layer.names if name and _seen(layer)}
    wanted = {f"{name}.weight" for name in called}
    for name, layer in by_name.items():
        new = _flax_name(name, rename, wanted) if name and layer.rank not in taken else None
        if new is not None and called[new].rank in left:
            found[layer.rank, left.pop(called[new].rank).rank] = Pair(name, layer, called[new])
            taken.add(layer.rank)
    return [found[key] for key in sorted(found)]


def _module_of(tensor: str, called: Mapping[str, Layer]) -> str | None:
    """The module that was called and holds a tensor, itself or in a part that is not called."""
    parts = tensor.split(".")
    names = (".".join(parts[:n]) for n in range(len(parts) - 1, -1, -1) if "parametrizations" not in parts[:n])
    return next((name for name in names if name in called), None)


def _holder(path: Path, run: Run) -> Layer | None:
    """The outermost layer around an array whose calls were seen."""
    leaves = (layer for layer in run.layers.values() if layer.leaf and _seen(layer))
    around = (layer for layer in leaves if any(path[: len(own)] == own for own in layer.paths))
    # Of a layer and those within it, the one that was done last.
    return max(around, key=lambda layer: layer.rank, default=None)


def _seen(layer: Layer) -> bool:
    """Whether there is a result of it: within a transform, such as the scan of a cell, values are not known."""
    return any(call.result is not None for call in layer.calls)


def _flax_name(name: str, rename: Rename, wanted: Set[str]) -> str | None:
    """What the Flax model calls a module: what it calls one of its tensors, without the tensor's own name."""
    weight = f"{name}.weight"
    new = new_names([weight], rename, wanted)[weight]
    return new.removesuffix(".weight") if new is not None and new in wanted else None
