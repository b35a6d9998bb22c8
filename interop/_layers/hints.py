"""What the caller says of the layers beyond what the model tells."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from .layouts import Shape


@dataclasses.dataclass(frozen=True)
class Hints:
    """What the caller knows and the model does not say.

    Attributes:
      flatten: for a layer that takes a flattened feature map, by its name, the map's shape `(*spatial, channels)`.
      layouts: for an array of a module of no known type, by its name, its layouts in torch and in Flax.
    """

    flatten: Mapping[str, Shape]
    layouts: Mapping[str, tuple[str, str]]


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
