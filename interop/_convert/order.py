"""Pairing layers by type, shape and order, for a checkpoint whose names have nothing in common with the model's."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .._layers.layer_types import LAYER_TYPES
from .._layers.layouts import LayerType, Shape
from .._layers.model import Layer, join
from .checkpoint import Checkpoint
from .sources import Source

# A layer within torch's attention, whose tensors belong to the layer around it.
_WITHIN = {"out_proj": ("in_proj_weight", "q_proj_weight")}
Group = dict[str, Source]
Tensors = frozenset[tuple[str, Shape]]
_TORCH_ONLY = {name for kind in LAYER_TYPES.values() if isinstance(kind, LayerType) for name in kind.torch_only}
_ORDER_LOST = " (a model from nnx.eval_shape, clone or jit has lost its order)"


def pair_by_order(checkpoint: Checkpoint, layers: list[Layer[Any]], ordered: bool) -> Checkpoint:
    """The checkpoint, with layers that match no name in the model renamed to the model's layers that they fit.

    The remaining layers of both are compared in order. If each fits its partner, in the names and the
    shapes of its tensors, they are paired. If not, or if the model's order is not known (`ordered`), a layer is paired
    only if each is the only one that fits the other. Others that fit some layer are ambiguous.
    """
    matched = [
        [found for name in (*layer.type.torch_names, *layer.type.torch_only) for found in checkpoint.find(layer, name)]
        for layer in layers
    ]
    taken = {name for names in matched for name in names}
    unmatched = [layer for layer, names in zip(layers, matched, strict=True) if not names and not layer.problem]
    groups = _candidates({name: s for name, s in checkpoint.sources.items() if name not in taken}, unmatched)
    pairs, problems = _paired(groups, unmatched, ordered)
    renamed = {
        source.name: join(layer.path, torch_name + layer.suffix)
        for name, layer in pairs.items()
        for torch_name, source in groups[name].items()
    }
    refused = {source.name: problem for name, problem in problems.items() for source in groups[name].values()}
    rows = [checkpoint.sources[name].row("ambiguous", problem) for name, problem in refused.items()]
    sources = {
        renamed.get(name, name): dataclasses.replace(source, name=renamed.get(name, name))
        for name, source in checkpoint.sources.items()
        if name not in refused
    }
    return dataclasses.replace(checkpoint, sources=sources, rows=(*checkpoint.rows, *rows))


def _candidates(sources: Mapping[str, Source], layers: list[Layer[Any]]) -> dict[str, Group]:
    """The checkpoint's layers that have, by their names, the tensors of some layer of the model, in any shape."""
    kinds = {frozenset(name for name, _ in _needed(layer)) for layer in layers}
    groups: dict[str, Group] = {}
    for name, source in sources.items():
        path, _, last = name.rpartition(".")
        outer, _, inner = path.rpartition(".")
        if any(join(outer, sign) in sources for sign in _WITHIN.get(inner, ())):
            path, last = outer, join(inner, last)
        groups.setdefault(path, {})[last] = source
    return {name: group for name, group in groups.items() if any(names <= group.keys() for names in kinds)}


def _needed(layer: Layer[Any]) -> Tensors:
    """The names and shapes of the tensors that fill a layer of the model."""
    return frozenset(
        (name + layer.suffix, parameter.torch_shape(slot.shape))
        for parameter, slot in layer.parameters()
        for name in parameter.torch_names
    )


def _held(group: Group) -> Tensors:
    """The names and shapes of the tensors that a layer of the checkpoint has."""
    return frozenset((name, source.shape) for name, source in group.items() if name not in _TORCH_ONLY)


def _paired(
    groups: Mapping[str, Group], layers: list[Layer[Any]], ordered: bool
) -> tuple[dict[str, Layer[Any]], dict[str, str]]:
    """The model's layer for each of the checkpoint's that could be paired, and for the others why it could not."""
    if ordered and [_needed(layer) for layer in layers] == [_held(group) for group in groups.values()]:
        pairs = dict(zip(groups, layers, strict=True))
        problems = _exchangeable(pairs)
        return {name: layer for name, layer in pairs.items() if name not in problems}, problems
    return _paired_if_unique(groups, layers, "" if ordered else _ORDER_LOST)


def _exchangeable(pairs: Mapping[str, Layer[Any]]) -> dict[str, str]:
    """Layers of the checkpoint that fit two layers of the model which would read them differently.

    A convolution and a transposed one with square kernels look alike, so that only the order says which is which.
    """
    alike: dict[Tensors, list[str]] = {}
    for name, layer in pairs.items():
        alike.setdefault(_needed(layer), []).append(name)
    problems: dict[str, str] = {}
    for names in alike.values():
        if len({frozenset(parameter.rule for parameter, _ in pairs[name].parameters()) for name in names}) > 1:
            paths = _listed([pairs[name].path for name in names])
            problems |= dict.fromkeys(names, f"could fill {paths}, which read it differently: say which with rename")
    return problems


def _paired_if_unique(
    groups: Mapping[str, Group], layers: list[Layer[Any]], lost: str
) -> tuple[dict[str, Layer[Any]], dict[str, str]]:
    """As `_paired`, but regardless of the order; `lost` is what to add to a problem if the order is not known."""
    needing: dict[Tensors, list[Layer[Any]]] = {}
    for layer in layers:
        needing.setdefault(_needed(layer), []).append(layer)
    held = {name: _held(group) for name, group in groups.items()}
    times = Counter(held.values())
    pairs, problems = {}, {}
    for name, tensors in held.items():
        rivals = needing.get(tensors, [])
        if len(rivals) == 1 and times[tensors] == 1:
            pairs[name] = rivals[0]
        elif rivals:
            problems[name] = f"could fill {_listed([layer.path for layer in rivals])}{lost}: say which with rename"
    return pairs, problems


def _listed(paths: list[str]) -> str:
    """The first few paths, in words."""
    words = [repr(path) for path in paths[:3]]
    return " or ".join(words) + (f" or {len(paths) - 3} others" if len(paths) > 3 else "")
