"""Pairing layers by type, shape and order, for a checkpoint whose names have nothing in common with the model's."""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping

from .._layers.layer_types import LAYER_TYPES
from .._layers.layouts import LayerType, Shape
from .._layers.model import Layer, join
from .report import Row
from .sources import Source

# A layer within torch's attention, whose tensors belong to the layer around it.
_WITHIN = {"out_proj": ("in_proj_weight", "q_proj_weight")}
# torch numbers the layers of an LSTM or a GRU at the end of its tensors' names; each direction of one is a Flax layer.
_RECURRENT, _NUMBER = re.compile(r"((?:weight|bias)_(?:ih|hh))_l(\d+(?:_reverse)?)"), "_l*"
Group = dict[str, Source]
Tensors = frozenset[tuple[str, Shape]]
_TORCH_ONLY = {name for kind in LAYER_TYPES.values() if isinstance(kind, LayerType) for name in kind.torch_only}
_ORDER_LOST = " (a model from nnx.eval_shape, clone or jit has lost its order)"


def pair_by_order(
    sources: Mapping[str, Source], layers: list[Layer], ordered: bool
) -> tuple[dict[str, Source], list[Row]]:
    """The tensors, with layers that match no name in the model renamed to the model's layers that they fit.

    The remaining layers of both are compared in order. If each fits its partner, in the names and the
    shapes of its tensors, they are paired. If not, or if the model's order is not known (`ordered`), a layer is paired
    only if each is the only one that fits the other. Others that fit some layer are ambiguous: the rows say so.
    """
    taken, unmatched = set(), []
    for layer in layers:
        torch_names = (*layer.type.torch_names, *layer.type.torch_only)
        found = [name for torch_name in torch_names for name in layer.names_in(torch_name, sources)]
        taken.update(found)
        if layer.slots and not found and not layer.problem:
            unmatched.append(layer)
    groups = _candidates({name: s for name, s in sources.items() if name not in taken}, unmatched)
    pairs, problems = _paired(groups, unmatched, ordered)
    renamed = {
        source.name: layer.names(torch_name.removesuffix(_NUMBER))[0][-1]
        for name, layer in pairs.items()
        for torch_name, source in groups[name].items()
    }
    refused = {source.name: problem for name, problem in problems.items() for source in groups[name].values()}
    rows = [sources[name].row("ambiguous", problem) for name, problem in refused.items()]
    kept = {renamed.get(name, name): source for name, source in sources.items() if name not in refused}
    return {name: dataclasses.replace(source, name=name) for name, source in kept.items()}, rows


def _candidates(sources: Mapping[str, Source], layers: list[Layer]) -> dict[str, Group]:
    """The checkpoint's layers that have, by their names, the tensors of some layer of the model, in any shape."""
    kinds = {frozenset(name for name, _ in _needed(layer)) for layer in layers}
    groups: dict[str, Group] = {}
    for name, source in sources.items():
        path, _, last = name.rpartition(".")
        outer, _, inner = path.rpartition(".")
        if any(join(outer, sign) in sources for sign in _WITHIN.get(inner, ())):
            path, last = outer, join(inner, last)
        if numbered := _RECURRENT.fullmatch(last):
            path, last = join(path, numbered[2]), numbered[1] + _NUMBER
        groups.setdefault(path, {})[last] = source
    return {name: group for name, group in groups.items() if any(names <= group.keys() for names in kinds)}


def _needed(layer: Layer) -> Tensors:
    """The names and shapes of the tensors that fill a layer of the model."""
    return frozenset(
        (name + (_NUMBER if any(layer.suffixes[0]) else ""), parameter.torch_shape(slot.shape))
        for parameter, slot in layer.parameters()
        for name in parameter.torch_names
    )


def _paired(groups: Mapping[str, Group], layers: list[Layer], ordered: bool) -> tuple[dict[str, Layer], dict[str, str]]:
    """The model's layer for each of the checkpoint's that could be paired, and for the others why it could not."""
    needed = [_needed(layer) for layer in layers]
    held = {
        name: frozenset((last, source.shape) for last, source in group.items() if last not in _TORCH_ONLY)
        for name, group in groups.items()
    }
    rivals: dict[Tensors, list[Layer]] = {}
    for layer, tensors in zip(layers, needed, strict=True):
        rivals.setdefault(tensors, []).append(layer)
    if ordered and needed == [*held.values()]:
        alike = {tensors for tensors, fit in rivals.items() if _read_alike(fit)}
        in_order = zip(held.items(), layers, strict=True)
        pairs = {name: layer for (name, tensors), layer in in_order if tensors in alike}
        reason = ", which read it differently"
    else:
        times = Counter(held.values())
        unique = {tensors: fit[0] for tensors, fit in rivals.items() if len(fit) == times[tensors] == 1}
        pairs = {name: unique[tensors] for name, tensors in held.items() if tensors in unique}
        reason = "" if ordered else _ORDER_LOST
    unsure = {name: rivals[tensors] for name, tensors in held.items() if name not in pairs and tensors in rivals}
    return pairs, {name: f"could fill {_listed(fit)}{reason}: say which with rename" for name, fit in unsure.items()}


def _read_alike(layers: list[Layer]) -> bool:
    """Whether layers that need the same tensors lay them out in the same way.

    A convolution and a transposed one with square kernels do not: only the order says which is which.
    """
    return len({frozenset(parameter.rule for parameter, _ in layer.parameters()) for layer in layers}) == 1


def _listed(layers: list[Layer]) -> str:
    """The paths of the first few, in words."""
    words = [repr(layer.path) for layer in layers[:3]]
    return " or ".join(words) + (f" or {len(layers) - 3} others" if len(layers) > 3 else "")
