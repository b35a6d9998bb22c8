"""Pairing layers by type, shape and order, for a checkpoint whose names have nothing in common with the model's."""

from collections.abc import Mapping
from typing import Any

from .._layers.layer_types import LAYER_TYPES
from .._layers.layouts import LayerType, Shape
from .._layers.model import Layer, join
from .parametrizations import Source

# A layer within torch's attention, whose tensors belong to the layer around it.
_WITHIN = {"out_proj": ("in_proj_weight", "q_proj_weight")}
Group = dict[str, Source]
Tensors = frozenset[tuple[str, Shape | None]]
_TORCH_ONLY = {name for kind in LAYER_TYPES.values() if isinstance(kind, LayerType) for name in kind.torch_only}


def renamed_by_order(
    layers: list[Layer[Any]], sources: Mapping[str, Source], ordered: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """New names for the tensors so that each layer of the checkpoint is called as the model's layer that it fits.

    The layers of both are gone through in order. Where every one fits its partner, in the names and the shapes of its
    tensors, they are paired; where not, or where the model's order is not known (`ordered`), those are paired that fit
    each other alone. All else is ambiguous.

    Returns the new name for each tensor that was paired, and for the others of layers that could be meant, why not.
    """
    wanted = [layer for layer in layers if layer.type is not None]
    fits = [_tensors(layer) for layer in wanted]
    kinds = {frozenset(name for name, _ in tensors) for tensors in fits}
    # What has the names of some layer's tensors could be one, whatever its shapes; what has not is left alone.
    groups = {name: group for name, group in _groups(sources).items() if any(names <= group.keys() for names in kinds)}
    found = [_shapes(group) for group in groups.values()]
    problems: dict[str, str] = {}
    if ordered and fits == found:
        pairs = dict(zip(groups, wanted, strict=True))
        problems = _exchangeable(pairs)
    else:
        pairs = {}
        lost = "" if ordered else " (a model from nnx.eval_shape, clone or jit has lost its order)"
        candidates: dict[Tensors, list[Layer[Any]]] = {}
        for layer, tensors in zip(wanted, fits, strict=True):
            candidates.setdefault(tensors, []).append(layer)
        for name, shapes in zip(groups, found, strict=True):
            rivals = candidates.get(shapes, [])
            if len(rivals) == 1 and found.count(shapes) == 1:
                pairs[name] = rivals[0]
            elif rivals:
                paths = _listed([layer.path for layer in rivals])
                problems[name] = f"could fill {paths}{lost}: say which with rename"
    renamed = {
        source.name: join(layer.path, torch_name + layer.suffix)
        for name, layer in pairs.items()
        if name not in problems
        for torch_name, source in groups[name].items()
    }
    reasons = {source.name: problem for name, problem in problems.items() for source in groups[name].values()}
    return renamed, reasons


def _groups(sources: Mapping[str, Source]) -> dict[str, Group]:
    """The checkpoint's layers by name: their tensors, in order."""
    groups: dict[str, Group] = {}
    for name, source in sources.items():
        path, _, last = name.rpartition(".")
        outer, _, inner = path.rpartition(".")
        if any(join(outer, sign) in sources for sign in _WITHIN.get(inner, ())):
            path, last = outer, join(inner, last)
        groups.setdefault(path, {})[last] = source
    return groups


def _tensors(layer: Layer[Any]) -> Tensors:
    """The names and shapes of the tensors that fill a layer."""
    return frozenset(
        (name + layer.suffix, parameter.torch_shape(slot.shape))
        for parameter, slot in layer.parameters()
        for name in parameter.torch_names
    )


def _shapes(group: Group) -> Tensors:
    return frozenset((name, source.shape) for name, source in group.items() if name not in _TORCH_ONLY)


def _exchangeable(pairs: Mapping[str, Layer[Any]]) -> dict[str, str]:
    """Layers of the checkpoint that fit two layers of the model which would read them differently.

    A convolution and a transposed one with square kernels look alike, and which is which then rests on the order alone.
    """
    alike: dict[Tensors, list[str]] = {}
    for name, layer in pairs.items():
        alike.setdefault(_tensors(layer), []).append(name)
    problems: dict[str, str] = {}
    for names in alike.values():
        if len({_layouts(pairs[name]) for name in names}) > 1:
            paths = _listed([pairs[name].path for name in names])
            problems |= dict.fromkeys(names, f"could fill {paths}, which read it differently: say which with rename")
    return problems


def _layouts(layer: Layer[Any]) -> frozenset[str]:
    return frozenset(parameter.rule for parameter, _ in layer.parameters())


def _listed(paths: list[str]) -> str:
    """The first few."""
    words = [repr(path) for path in paths[:3]]
    return " or ".join(words) + (f" or {len(paths) - 3} others" if len(paths) > 3 else "")
