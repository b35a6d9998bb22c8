"""Sizes of tensors that remember where they come from, through a program's own arithmetic.

A program asks `x.shape[2] // 2` and gets a number that is one in every respect, so that its branches are taken and its
tensors made, and that still knows to be half the size of an axis of `x`. Where that is lost, as in `int(n ** 0.5)`, it
is the number that it is for the example.
"""

import dataclasses
import math
import operator
from collections.abc import Callable
from typing import Any, TypeAlias


@dataclasses.dataclass(frozen=True)
class AxisSize:
    """The size of an axis of a value."""

    value: Any
    axis: int


@dataclasses.dataclass(frozen=True)
class Given:
    """A number that a module was called with: the name of its argument, and the place in that."""

    place: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Result:
    """A number that a module gave."""

    node: Any
    place: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """What an operator, written as in Python, or a function such as `math.ceil` makes of numbers."""

    operator: str
    operands: tuple[Any, ...]


Source: TypeAlias = AxisSize | Given | Result | Arithmetic


class TracedInt(int):
    """An integer that knows its source."""

    source: Source

    def __new__(cls, value: int, source: Source) -> "TracedInt":
        self = super().__new__(cls, value)
        self.source = source
        return self


class TracedFloat(float):
    """A fraction of sizes that knows its source."""

    source: Source

    def __new__(cls, value: float, source: Source) -> "TracedFloat":
        self = super().__new__(cls, value)
        self.source = source
        return self


def traced(value: float, source: Source) -> TracedInt | TracedFloat:
    """A number with its source."""
    return TracedInt(value, source) if isinstance(value, int) else TracedFloat(value, source)


def is_traced(value: Any) -> bool:
    """Whether a value is a number that knows its source."""
    return isinstance(value, TracedInt | TracedFloat)


_OPERATORS: dict[str, tuple[str, Callable[..., Any]]] = {
    "add": ("+", operator.add),
    "sub": ("-", operator.sub),
    "mul": ("*", operator.mul),
    "truediv": ("/", operator.truediv),
    "floordiv": ("//", operator.floordiv),
    "mod": ("%", operator.mod),
    "pow": ("**", operator.pow),
}


def _plain(value: Any) -> Any:
    if isinstance(value, TracedInt):
        return int(value)
    return float(value) if isinstance(value, TracedFloat) else value


def _method(symbol: str, function: Callable[..., Any], reflected: bool) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, int | float) or isinstance(other, bool):
            return NotImplemented
        if symbol == "*" and type(other) is int and other == 1:
            return self  # einops counts from 1
        operands = (other, self) if reflected else (self, other)
        value = function(*map(_plain, operands))
        return traced(value, Arithmetic(symbol, operands)) if isinstance(value, int | float) else value

    return method


def _rounding(name: str, function: Callable[[float], int]) -> Callable[..., Any]:
    return lambda self: TracedInt(function(_plain(self)), Arithmetic(name, (self,)))


for _cls in (TracedInt, TracedFloat):
    for _name, (_symbol, _function) in _OPERATORS.items():
        setattr(_cls, f"__{_name}__", _method(_symbol, _function, reflected=False))
        setattr(_cls, f"__r{_name}__", _method(_symbol, _function, reflected=True))
    _cls.__neg__ = lambda self: traced(-_plain(self), Arithmetic("-", (self,)))  # type: ignore[method-assign]
    _cls.__reduce__ = lambda self: (type(_plain(self)), (_plain(self),))  # type: ignore[method-assign]
TracedFloat.__ceil__ = _rounding("math.ceil", math.ceil)  # type: ignore[method-assign]
TracedFloat.__floor__ = _rounding("math.floor", math.floor)  # type: ignore[method-assign]
TracedFloat.__round__ = lambda self, digits=None: (  # type: ignore[method-assign]
    TracedInt(round(_plain(self)), Arithmetic("round", (self,))) if digits is None else round(_plain(self), digits)
)
