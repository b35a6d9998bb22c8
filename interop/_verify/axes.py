"""What the axes of a tensor mean, and their order in Flax.

Sizes say nothing: a sequence can be as long as its features. So each axis has a symbol, which operations pass on, and
those operations whose axes have a meaning mark theirs. A mark holds for every tensor with that symbol, also for those
before it: an input whose second axis is convolved has its channels there, whatever was done to it in between.
"""

import dataclasses
import enum
import itertools
import math
from collections.abc import Sequence
from typing import TypeAlias

Shape: TypeAlias = tuple[int, ...]


class Role(enum.IntEnum):
    """What an axis is; the larger of two marks holds."""

    UNKNOWN = 0
    FEATURES = 1  # what a matrix multiplies
    SPATIAL = 2
    CHANNELS = 3
    BATCH = 4


@dataclasses.dataclass(eq=False)
class Symbol:
    """An axis, or a factor of one; symbols that an operation shows to be one point to the same."""

    size: int
    role: Role = Role.UNKNOWN
    same_as: "Symbol | None" = None

    def find(self) -> "Symbol":
        """The symbol that stands for all that are the same."""
        here = self
        while here.same_as is not None:
            here = here.same_as
        return here


# The factors of an axis, outermost first; several after axes were joined into one.
Axis: TypeAlias = tuple[Symbol, ...]
Axes: TypeAlias = tuple[Axis, ...]


def fresh(shape: Sequence[int]) -> Axes:
    """Axes of which nothing is known."""
    return tuple((Symbol(int(size)),) for size in shape)


def role(axis: Axis) -> Role:
    """What an axis is: the first that one of its factors is."""
    return max((symbol.find().role for symbol in axis), default=Role.UNKNOWN)


def mark(axis: Axis, role: Role) -> None:
    """Says what an axis is."""
    for symbol in axis:
        root = symbol.find()
        root.role = max(root.role, role)


def unite(a: Axis, b: Axis) -> None:
    """Two axes are one, if they have the same factors."""
    if [s.size for s in a] == [s.size for s in b]:
        for first, second in zip(a, b, strict=True):
            x, y = first.find(), second.find()
            if x is not y:
                x.role = max(x.role, y.role)
                y.same_as = x


def to_flax(axes: Axes) -> tuple[int, ...] | None:
    """The axes in Flax's order, the batch first and the channels last; None where it is not known which these are."""
    roles = [role(axis) for axis in axes]
    batch = next((n for n, r in enumerate(roles) if r is Role.BATCH), 0)
    candidates = [n for n, r in enumerate(roles) if r is Role.CHANNELS]
    if not candidates and roles and roles[-1] is Role.FEATURES:
        candidates = [len(roles) - 1]
    candidates = candidates or [n for n, r in enumerate(roles) if r is Role.FEATURES]
    others = [n for n in range(len(axes)) if n not in (batch, *candidates)]
    if len(candidates) > 1 or (not candidates and any(roles[n] is Role.UNKNOWN for n in others)):
        return None
    first = [batch] if axes and batch not in candidates else []
    return (*first, *others, *candidates)


def convention(ndim: int) -> tuple[int, ...]:
    """The order that is taken where nothing shows another: the second axis moved last, of three axes or more."""
    return (0, *range(2, ndim), 1) if ndim > 2 else tuple(range(ndim))


def regroup(axes: Axes, shape: Shape) -> Axes:
    """The axes after a reshape: factors joined, or taken apart again; a factor that is cut has no known role."""
    left = list(itertools.chain(*axes))
    found: list[Axis] = []
    for n, size in enumerate(shape):
        axis: list[Symbol] = []
        while math.prod(s.size for s in axis) < size and left:
            axis.append(left.pop(0))
            have = math.prod(s.size for s in axis)
            if have > size:
                cut = axis.pop()
                rest = cut.size * size // have if have else 1
                if rest == 0 or cut.size % rest or have % size:
                    return fresh(shape)
                axis.append(Symbol(rest))
                left.insert(0, Symbol(cut.size // rest))
        # An axis of one row keeps its symbol where the rows agree, so that a single channel stays one.
        if size == 1 and left and left[0].size == 1 and len(left) >= len(shape) - n:
            axis.append(left.pop(0))
        found.append(tuple(axis) or (Symbol(size),))
    return tuple(found)
