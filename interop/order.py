"""Pairing layers by type, shape and order, for a checkpoint whose names have nothing in common with the model's."""

from collections.abc import Mapping
from typing import Any

from .model import Layer, join
from .parametrizations import Source

# A layer within torch's attention, whose tensors belong to the layer around it.
_WITHIN = {"out_proj": ("in_proj_weight", "q_proj_weight")}
Group = dict[str, Source]


def renamed_by_order(
    layers: list[Layer[Any]], sources: Mapping[str, Source], ordered: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """New names for the tensors so that each layer of the checkpoint is called as the model's layer that it fits.

    The layers of both are gone through in order. Where every one fits its partner, in the names and the shapes of its
    tensors, they are paired; where not, or where the model's order is not known (`ordered`), those are paired that fit
    each other alone. All else is ambiguous.

    Returns the new name for each tensor that was paired, and for the others of layers that could be meant, why not.
    """
    groups = {
        name: group
        for name, group in _groups(sources).items()
        if any(_fits(layer, group) for layer in layers) or _could_be_a_layer(group, layers)
    }
    wanted = [layer for layer in layers if layer.type is not None]
    names = list(groups)
    options = [[name for name in names if _fits(layer, groups[name])] for layer in wanted]
    pairs = _in_order(wanted, names, options) if ordered else None
    problems: dict[str, str] = {}
    if pairs is None:
        pairs = {}
        lost = "" if ordered else " (a model from nnx.eval_shape, clone or jit has lost its order)"
        for layer, found in zip(wanted, options, strict=True):
            rivals = [other.path for other, others in zip(wanted, options, strict=True) if set(found) & set(others)]
            if len(found) == 1 and len(rivals) == 1:
                pairs[found[0]] = layer
            else:
                problems |= {name: f"could fill {_listed(rivals)}{lost}: say which with rename" for name in found}
    else:
        problems = _exchangeable(pairs)
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


def _could_be_a_layer(group: Group, layers: list[Layer[Any]]) -> bool:
    """Whether the tensors have the names of those of some layer of the model, whatever their shapes."""
    return any(_tensors(layer).keys() <= group.keys() for layer in layers if layer.type is not None)


def _tensors(layer: Layer[Any]) -> dict[str, tuple[int, ...] | None]:
    return {
        name + layer.suffix: parameter.torch_shape(slot.shape)
        for parameter, slot in layer.parameters()
        for name in parameter.torch_names
    }


def _fits(layer: Layer[Any], group: Group) -> bool:
    if layer.type is None:
        return False
    tensors = _tensors(layer)
    others = group.keys() - tensors.keys() - set(layer.type.torch_only)
    return not others and all(name in group and group[name].shape == shape for name, shape in tensors.items())


def _in_order(wanted: list[Layer[Any]], names: list[str], options: list[list[str]]) -> dict[str, Layer[Any]] | None:
    if len(wanted) != len(names):
        return None
    if any(name not in found for name, found in zip(names, options, strict=True)):
        return None
    return dict(zip(names, wanted, strict=True))


def _exchangeable(pairs: Mapping[str, Layer[Any]]) -> dict[str, str]:
    """Layers of the checkpoint that fit two layers of the model which would read them differently.

    A convolution and a transposed one with square kernels look alike, and which is which then rests on the order alone.
    """
    alike: dict[frozenset[Any], list[str]] = {}
    for name, layer in pairs.items():
        alike.setdefault(frozenset(_tensors(layer).items()), []).append(name)
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
