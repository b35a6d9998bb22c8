"""What is recorded of one run of a model: the calls of its layers, and what it returns."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import jax
import numpy as np
from numpy.typing import NDArray

from .._tensors import to_numpy
from .._text import shortened
from .axes import Axes, convention, to_flax

Array: TypeAlias = NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Traced:
    """An array, and what is known of its axes; None in Flax, where the batch is first and the channels are last."""

    value: Array
    axes: Axes | None = None

    @property
    def to_flax(self) -> tuple[int, ...] | None:
        """The order of its axes in Flax; None where the run does not show it."""
        return None if self.axes is None else to_flax(self.axes)

    @property
    def order(self) -> tuple[int, ...]:
        """The same, or the conventional one where the run does not show it."""
        return self.to_flax or convention(self.value.ndim)

    @property
    def in_flax(self) -> Array:
        """The array in that order."""
        return self.value.transpose(self.order)


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a layer: the first array that it was given, and the first that it gave; None if there was none."""

    given: Traced | None
    result: Traced | None


@dataclasses.dataclass
class Layer:
    """A module of a model that was called.

    Attributes:
      names: what torch calls it, or may call it.
      paths: its places in a Flax model: its own, and those of parts that are elsewhere.
      module: the module itself.
      leaf: whether it is one layer, and not made of others.
      calls: its calls in order.
      rank: when it was first done, counted over all layers.
    """

    names: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]
    module: Any
    leaf: bool
    calls: list[Call]
    rank: int


@dataclasses.dataclass
class Run:
    """One run of a model.

    Attributes:
      layers: by identity or place, in the order in which they were done.
      outputs: the arrays that it returned, by where they stand in what it returned.
      inputs: what it was given; None for what is no array.
      silent: the names of modules with arrays that were not called.
      failed: where it raised, and what, in one line; empty if it did not.
    """

    layers: dict[Any, Layer] = dataclasses.field(default_factory=dict)
    outputs: dict[str, Traced] = dataclasses.field(default_factory=dict)
    inputs: list[Traced | None] = dataclasses.field(default_factory=list)
    silent: list[str] = dataclasses.field(default_factory=list)
    failed: str = ""

    def note(self, key: Any, call: Call, **layer: Any) -> None:
        """Adds a call of the layer with this key; `layer` has its attributes."""
        self.layers.setdefault(key, Layer(calls=[], rank=len(self.layers), **layer)).calls.append(call)


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every array and number in a nest of dicts and sequences, with its place, such as `[1]['mask']`."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f"{place}[{key!r}]")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        yield from leaves(fields, place)
    elif isinstance(value, tuple | list):
        for n, item in enumerate(value):
            yield from leaves(item, f"{place}[{n}]")
    elif (hasattr(value, "shape") and hasattr(value, "dtype")) or isinstance(value, int | float | complex):
        yield place, value


def first(value: Any) -> Any:
    """The first array of a nest of them, or None."""
    return next((leaf for _, leaf in leaves(value) if hasattr(leaf, "shape")), None)


def copied(value: Any) -> Array | None:
    """An array of any library as one of numpy, with its own memory; None for one without values."""
    if not isinstance(value, int | float | complex) and not hasattr(value, "shape"):
        return None
    if isinstance(value, jax.core.Tracer):
        return None
    return np.array(to_numpy("a value", value) if hasattr(value, "shape") else value)


def described(error: BaseException, place: str) -> str:
    """An error of a model in one line, with the module in which it was raised."""
    words = shortened(" ".join(str(error).split()), 300)
    return f"{type(error).__name__} in {place}: {words}" if words else f"{type(error).__name__} in {place}"
