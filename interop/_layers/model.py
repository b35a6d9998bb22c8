"""A Flax model as conversion sees it: its layers, their types and names, and what the caller says of them besides."""

import dataclasses
import itertools
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from .layer_types import after_flatten, layer_type
from .layouts import LayerType, Parameter, Shape, UnsupportedLayerError
from .patterns import fits, fitting
from .recurrent import Path, dotted, suffix

# What finds an array again: the identity of an nnx variable, the path of a linen one.
Place: TypeAlias = Hashable
UNKNOWN = LayerType("unknown", ())


@dataclasses.dataclass(frozen=True)
class Slot:
    """One array of a Flax layer: its shape and dtype, what Flax calls it, and how to find it again."""

    shape: Shape
    dtype: np.dtype[Any]
    path: str
    place: Place


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer that holds arrays.

    Attributes:
      paths: what torch may call it; several for a layer that the model shares, and for each of them the spellings it
        may have, the most literal first.
      type: its type; `UNKNOWN`, which describes no arrays, if `problem` says why it has none.
      slots: its arrays, by their names within the layer.
      suffixes: what torch appends to the names of its tensors, for each of the paths.
      flax_path: its name in Flax, by which the caller may mean it as well.
      torch_only: the parts of torch's module that this one leaves out.
    """

    paths: tuple[tuple[str, ...], ...]
    type: LayerType
    slots: Mapping[str, Slot]
    suffixes: tuple[tuple[str, ...], ...]
    flax_path: str
    problem: str = ""
    torch_only: tuple[str, ...] = ()

    @property
    def called(self) -> list[str]:
        """What the caller may call it."""
        return [*itertools.chain(*self.paths), self.flax_path]

    @property
    def path(self) -> str:
        """The name under which torch knows it first."""
        return self.paths[0][-1]

    def parameters(self) -> Iterator[tuple[Parameter, Slot]]:
        """The layer's arrays that its type describes."""
        for parameter in self.type.parameters:
            if parameter.flax_name in self.slots:
                yield parameter, self.slots[parameter.flax_name]

    def names(self, torch_name: str) -> tuple[tuple[str, ...], ...]:
        """What torch may call one of its tensors, as `paths`."""
        return tuple(
            tuple(join(path, torch_name + end) for path, end in zip(spellings, ends, strict=True))
            for spellings, ends in zip(self.paths, self.suffixes, strict=True)
        )

    def left_out(self, name: str) -> bool:
        """Whether a tensor of this name is of a part that the module leaves out."""
        starts = [join(path, part) for path in itertools.chain(*self.paths) for part in self.torch_only]
        return any(name == start or name.startswith(f"{start}.") for start in starts)

    def names_in(self, torch_name: str, tensors: Mapping[str, Any]) -> list[str]:
        """The names under which there is one of its tensors: one for each place that shares the layer."""
        found = (next((name for name in names if name in tensors), None) for names in self.names(torch_name))
        return [name for name in found if name is not None]


@dataclasses.dataclass(frozen=True)
class Hints:
    """What the caller knows and the model does not say.

    Attributes:
      flatten: for layers that take a flattened feature map, by name or pattern, the map's shape `(*spatial, channels)`.
      layouts: for arrays whose type does not say it, by name or pattern, their layouts in torch and in Flax.
    """

    flatten: Mapping[str, Shape]
    layouts: Mapping[str, tuple[str, str]]


def make_layer(
    path: Path, places: Sequence[Sequence[Path]], module: Any, slots: Mapping[str, Slot], hints: Hints
) -> Layer:
    """The layer of this module; if its type or the layout of its arrays is not known, `problem` says so.

    `path` is its own; `places` are its paths in torch: for each place that shares it, the spellings.
    """
    spelled = [list(dict.fromkeys((dotted(path), suffix(path)) for path in spellings)) for spellings in places]
    paths = tuple(tuple(path for path, _ in names) for names in spelled)
    suffixes = tuple(tuple(end for _, end in names) for names in spelled)
    layer = Layer(paths, UNKNOWN, slots, suffixes, ".".join(path), torch_only=tuple(getattr(module, "torch_only", ())))
    try:
        kind = _typed(layer, module, {name: slot.shape for name, slot in slots.items()}, hints)
    except UnsupportedLayerError as error:
        return dataclasses.replace(layer, problem=f"{type(module).__name__}: {error}")
    return dataclasses.replace(layer, type=kind)


def _typed(layer: Layer, module: Any, shapes: Mapping[str, Shape], hints: Hints) -> LayerType:
    """The type of a module with arrays of these shapes; `layer` says what it is called."""
    rules = {array: fitting(hints.layouts, [join(path, array) for path in layer.called]) for array in shapes}
    for array, rule in getattr(type(module), "torch_layouts", {}).items():
        form = f"torch_layouts of {type(module).__name__} must say how an array is laid out in both, as in 'c h -> h c'"
        if array in rules and rules[array] is None:
            rules[array] = _two_layouts(rule, f"{form}; for {array!r}")
    kind = layer_type(module, shapes)
    kind = _own_arrays(layer.path, shapes, rules) if kind is None else kind.laid_out(rules, join(layer.path, "*"))
    if (map_shape := fitting(hints.flatten, layer.called)) is not None:
        kind = after_flatten(kind, map_shape)
    known = {parameter.flax_name: parameter for parameter in kind.parameters}
    if strange := sorted(shapes.keys() - known.keys()):
        raise UnsupportedLayerError(f"it has arrays that the table of layer types does not: {', '.join(strange)}")
    for name, shape in shapes.items():
        known[name].torch_shape(shape)
    return kind


def _own_arrays(path: str, shapes: Mapping[str, Shape], rules: Mapping[str, tuple[str, str] | None]) -> LayerType:
    """The arrays that a module of no known type holds itself: vectors as they are, others as the caller says."""
    parameters = []
    for array, shape in shapes.items():
        rule = rules[array]
        if rule is None and len(shape) > 1:
            axes = " ".join("abcdefgh"[: len(shape)])
            raise UnsupportedLayerError(
                f"its array {array}, {shape}, belongs to no known type of layer; say how PyTorch lays it out, as in "
                f"layouts={{{join(path, array)!r}: '{axes} -> {axes}'}}"
            )
        torch_axes, flax_axes = ("...", "...") if rule is None else rule
        parameters.append(Parameter(array, array, torch_axes, flax_axes))
    return LayerType("arrays", tuple(parameters))


def read_hints(flatten: Mapping[str, Any] | None, layouts: Mapping[str, str] | None) -> Hints:
    """The two arguments, checked."""
    form = "flatten must be a mapping of a layer's name to the shape (*spatial, channels) that it takes flattened"
    shapes = {name: _feature_shape(shape, f"{form}; for {name!r}") for name, shape in _items(flatten, form)}
    form = "layouts must be a mapping of an array's name to how it is laid out in both, as in 'c h w -> h w c'"
    return Hints(shapes, {name: _two_layouts(rule, f"{form}; for {name!r}") for name, rule in _items(layouts, form)})


def _items(argument: Any, form: str) -> list[tuple[str, Any]]:
    if not isinstance(argument, Mapping | None):
        raise TypeError(f"{form}, got {type(argument).__name__}")
    return list((argument or {}).items())


def _feature_shape(shape: Any, form: str) -> Shape:
    sizes = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sizes) < 2 or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise ValueError(f"{form} got {shape!r}")
    return sizes


def _two_layouts(rule: Any, form: str) -> tuple[str, str]:
    sides = rule.split("->") if isinstance(rule, str) else []
    if len(sides) != 2 or set(sides[0].split()) - {"1"} != set(sides[1].split()) - {"1"}:
        raise ValueError(f"{form} got {rule!r}")
    return sides[0].strip(), sides[1].strip()


def check_hints(hints: Hints, layers: Iterable[Layer]) -> None:
    """Raises ValueError for a hint about something that the model does not have."""
    paths = {name: layer for layer in layers for name in layer.called}
    arrays = {join(path, array) for path, layer in paths.items() for array in layer.slots}
    for argument, names, known in (("flatten", hints.flatten, paths), ("layouts", hints.layouts, arrays)):
        for name in names:
            if not any(fits(name, path) for path in known):
                raise ValueError(f"{argument} names {name!r}, which the model does not have")


def join(path: str, name: str) -> str:
    """A tensor's name within a module at `path`."""
    return f"{path}.{name}" if path else name
