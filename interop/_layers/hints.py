"""What the caller says of the layers beyond what the model tells."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from .layouts import Shape


@dataclasses.dataclass(frozen=True)
class Hints:
    """What the caller knows and the model does not tell.

    Attributes:
      flatten: for a layer that takes a flattened feature map, by its name, the map's shape `(*spatial, channels)`.
      layouts: for an array of a module of no known type, by its name, its layouts in torch and in Flax.
    """

    flatten: Mapping[str, Shape]
    layouts: Mapping[str, tuple[str, str]]


def read_hints(flatten: Mapping[str, Any] | None, layouts: Mapping[str, str] | None) -> Hints:
    """The two arguments, checked."""
    form = "flatten must be a mapping of a layer's name to the shape (*spatial, channels) that it takes flattened"
    if not isinstance(flatten, Mapping | None):
        raise TypeError(f"{form}, got {type(flatten).__name__}")
    shapes = {}
    for name, shape in (flatten or {}).items():
        if (
            not isinstance(shape, tuple | list)
            or len(shape) < 2
            or not all(isinstance(n, int) and n > 0 for n in shape)
        ):
            raise ValueError(f"{form}; for {name!r} got {shape!r}")
        shapes[name] = tuple(shape)
    form = "layouts must be a mapping of an array's name to how it is laid out in both, as in 'c h w -> h w c'"
    if not isinstance(layouts, Mapping | None):
        raise TypeError(f"{form}, got {type(layouts).__name__}")
    rules = {}
    for name, rule in (layouts or {}).items():
        sides = rule.split("->") if isinstance(rule, str) else []
        if len(sides) != 2 or set(sides[0].split()) - {"1"} != set(sides[1].split()) - {"1"}:
            raise ValueError(f"{form}; for {name!r} got {rule!r}")
        rules[name] = (sides[0].strip(), sides[1].strip())
    return Hints(shapes, rules)
