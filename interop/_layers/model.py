"""A Flax model as conversion sees it: its layers in order, their types, and where their arrays are."""

import dataclasses
import itertools
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from .hints import Hints
from .layer_types import after_flatten, layer_type
from .layouts import LayerType, Parameter, Shape, UnsupportedLayerError

Place = TypeVar("Place", bound=Hashable)
UNKNOWN = LayerType("unknown", ())


@dataclasses.dataclass(frozen=True)
class Slot(Generic[Place]):
    """One array of a Flax layer: its shape and dtype, what Flax calls it, and how to find it again."""

    shape: Shape
    dtype: np.dtype[Any]
    path: str
    place: Place


@dataclasses.dataclass(frozen=True)
class Layer(Generic[Place]):
    """A layer that holds arrays.

    Attributes:
      paths: what torch may call it; several for a layer that the model shares, and for each of them the spellings it
        may have, the most literal first.
      type: its type; `UNKNOWN`, which describes no arrays, if `problem` says why it has none.
      slots: its arrays, by their names within the layer.
      suffix: what torch appends to the names of its tensors.
    """

    paths: tuple[tuple[str, ...], ...]
    type: LayerType
    slots: Mapping[str, Slot[Place]]
    problem: str = ""
    suffix: str = ""

    @property
    def path(self) -> str:
        """The name under which torch knows it first."""
        return self.paths[0][-1]

    def parameters(self) -> Iterator[tuple[Parameter, Slot[Place]]]:
        """The layer's arrays that its type describes."""
        for parameter in self.type.parameters:
            if parameter.flax_name in self.slots:
                yield parameter, self.slots[parameter.flax_name]

    def names(self, torch_name: str) -> tuple[tuple[str, ...], ...]:
        """What torch may call one of its tensors, as `paths`."""
        return tuple(tuple(join(path, torch_name + self.suffix) for path in spellings) for spellings in self.paths)


def make_layer(
    paths: tuple[tuple[str, ...], ...],
    module: Any,
    slots: Mapping[str, Slot[Place]],
    hints: Hints,
    suffix: str = "",
) -> Layer[Place]:
    """The layer of this module; if its type or the layout of its arrays is not known, `problem` says so."""
    try:
        kind = _typed(paths, module, {name: slot.shape for name, slot in slots.items()}, hints)
    except UnsupportedLayerError as error:
        return Layer(paths, UNKNOWN, slots, f"{type(module).__name__}: {error}")
    return Layer(paths, kind, slots, "", suffix)


def _typed(paths: tuple[tuple[str, ...], ...], module: Any, shapes: Mapping[str, Shape], hints: Hints) -> LayerType:
    """The type of a module with arrays of these shapes."""
    kind = layer_type(module, shapes) or _own_arrays(paths, shapes, hints)
    for spelling in itertools.chain(*paths):
        if spelling in hints.flatten:
            kind = after_flatten(kind, hints.flatten[spelling])
    known = {parameter.flax_name: parameter for parameter in kind.parameters}
    if strange := sorted(shapes.keys() - known.keys()):
        raise UnsupportedLayerError(f"it has arrays that the table of layer types does not: {', '.join(strange)}")
    for name, shape in shapes.items():
        known[name].torch_shape(shape)
    return kind


def _own_arrays(paths: tuple[tuple[str, ...], ...], shapes: Mapping[str, Shape], hints: Hints) -> LayerType:
    """The arrays that a module of no known type holds itself: vectors as they are, others as the caller says."""
    parameters = []
    for array, shape in shapes.items():
        names = [join(spelling, array) for spelling in itertools.chain(*paths)]
        rule = next((hints.layouts[name] for name in names if name in hints.layouts), None)
        if rule is None and len(shape) > 1:
            axes = " ".join("abcdefgh"[: len(shape)])
            raise UnsupportedLayerError(
                f"its array {array}, {shape}, belongs to no known type of layer; say how PyTorch lays it out, as in "
                f"layouts={{{names[-1]!r}: '{axes} -> {axes}'}}"
            )
        torch_axes, flax_axes = ("...", "...") if rule is None else rule
        parameters.append(Parameter(array, array, torch_axes, flax_axes))
    return LayerType("arrays", tuple(parameters))


def check_hints(hints: Hints, layers: Iterable[Layer[Any]]) -> None:
    """Raises ValueError for a hint about something that the model does not have."""
    paths = {spelling: layer for layer in layers for spellings in layer.paths for spelling in spellings}
    arrays = {join(path, array) for path, layer in paths.items() for array in layer.slots}
    for argument, names, known in (("flatten", hints.flatten, paths), ("layouts", hints.layouts, arrays)):
        for name in names:
            if name not in known:
                raise ValueError(f"{argument} names {name!r}, which the model does not have")


# Stands in a torch path for the cell of an RNN, which in torch is the RNN itself.
CELL = "<cell>"


def dotted(path: tuple[str, ...]) -> str:
    """A torch path as torch writes it."""
    return ".".join(name for name in path if name != CELL)


def tensor_suffix(path: tuple[str, ...]) -> str:
    """What torch appends to the names of the tensors at a path: an RNN numbers its layers."""
    return "_l0" if path[-1:] == (CELL,) else ""


def join(path: str, name: str) -> str:
    """A tensor's name within a module at `path`."""
    return f"{path}.{name}" if path else name
