"""What stands in the brackets of an index: torch's, laid out for an array whose axes stand in another order.

torch and numpy agree on indices, but for numbers beside tensors of indices, which torch takes first. So both results
are followed axis by axis, and where an axis of torch's stands in Flax's result is the order of the result.
"""

import ast
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..code import Expression, call, subscript
from ..emitting import Emitter, Untranslatable, written
from ..graph import Value
from ..orders import Order, plain, with_new
from ..sizes import is_traced
from .shapes import place_of_new

MASKS = ("bool", "uint8")
_BY_MASK = "what a mask selects depends on its values"


@dataclasses.dataclass(eq=False)
class Entry:
    """One part of an index: "new" for None, "slice", "number", or "array" of so many axes for integers."""

    kind: str
    what: Any = None
    ndim: int = 0


@dataclasses.dataclass(frozen=True)
class Layout:
    """An index for the Flax array, and the order of what it selects; None if it selects all as it is."""

    index: Any
    order: Order

    def of(self, array: Expression) -> Expression:
        """The array at this index."""
        return array if self.index is ALL else subscript(array, self.index)


ALL = object()
WHOLE = slice(None)


def laid_out(e: Emitter, x: Value, index: Any) -> Layout:
    """torch's index of a tensor as one of its array."""
    entries = _entries(e, x, index)
    on_axes = [entry for entry in entries if entry.kind != "new"]
    kept = [entry for entry in entries if entry.kind != "number"]
    flax = _with_new_axes([on_axes[axis] for axis in e.order(x)], kept)
    arrays = [entry for entry in entries if entry.kind == "array"]
    written_arrays, block = _arrays(e, arrays)
    items = [written_arrays.get(id(entry), entry.what) for entry in flax]
    ours = _axes(flax, ("array", "number") if arrays else (), block)
    theirs = _axes(kept, ("array",), sorted(block))
    return Layout(_brackets(items), tuple(theirs.index(axis) for axis in ours))


def _axes(entries: Sequence[Entry], advanced: Sequence[str], block: Sequence[int]) -> list[Any]:
    """The axes of a result: those of arrays of indices where these stand side by side, otherwise first."""
    places = [n for n, entry in enumerate(entries) if entry.kind in advanced]
    found: list[Any] = [entry for entry in entries if entry.kind not in (*advanced, "number")]
    if not places:
        return found
    together = places[-1] - places[0] == len(places) - 1
    at = sum(entry.kind not in (*advanced, "number") for entry in entries[: places[0]]) if together else 0
    return found[:at] + list(block) + found[at:]


def _with_new_axes(flax: list[Entry], kept: list[Entry]) -> list[Entry]:
    """The entries in Flax's order with those that make new axes, each where `unsqueeze` would put it."""
    old = [entry for entry in kept if entry.kind != "new"]
    stay = [entry for entry in flax if entry.kind != "number"]
    order: Order = tuple(old.index(entry) for entry in stay)
    for axis, entry in enumerate(kept):
        if entry.kind == "new":
            at = place_of_new(order, axis)
            flax.insert(flax.index(stay[at]) if at < len(stay) else len(flax), entry)
            stay.insert(at, entry)
            order = with_new(order, axis, at)
    return flax


def _arrays(e: Emitter, arrays: list[Entry]) -> tuple[dict[int, Expression], Order]:
    """The arrays of indices as expressions, and the order of the axes that they are broadcast to."""
    if len(arrays) == 1 and isinstance(arrays[0].what, Value):
        value = arrays[0].what
        return {id(arrays[0]): e.array(value)}, e.order(value)
    found = {
        id(entry): e.array(entry.what, plain(entry.ndim)) if isinstance(entry.what, Value) else entry.what
        for entry in arrays
    }
    return found, plain(max((entry.ndim for entry in arrays), default=0))


def _brackets(items: list[Any]) -> Any:
    """The index as it is written: without slices of everything at the end, and with dots for several at the start."""
    count = len(items)
    while items and items[-1] == WHOLE:
        items = items[:-1]
    if not items:
        return ALL
    first = next(n for n, item in enumerate(items) if item != WHOLE)
    if first > 1 and len(items) == count:
        items = [Ellipsis, *items[first:]]
    return items[0] if len(items) == 1 else tuple(items)


# What torch's index is of


def _entries(e: Emitter, x: Value, index: Any) -> list[Entry]:
    """The parts of an index, with one for each axis."""
    parts = list(index) if isinstance(index, tuple) or _is_taken_for_tuple(e, x, index) else [index]
    parts = [part.tolist() if isinstance(part, np.ndarray | np.generic) else part for part in parts]
    found: list[Entry | None] = []
    for part in parts:
        found += [None] if part is Ellipsis else _part(e, part)
    used = sum(entry is not None and entry.kind != "new" for entry in found)
    rest = [Entry("slice", WHOLE) for _ in range(x.ndim - used)]
    at = found.index(None) if None in found else len(found)
    return [entry for entry in (*found[:at], *rest, *found[at + 1 :]) if entry is not None]


def _is_taken_for_tuple(e: Emitter, x: Value, index: Any) -> bool:
    """Whether torch takes a list of lists for a tuple, as it used to; the number of axes that are left shows it."""
    if not isinstance(index, list) or not any(isinstance(one, Value | list | tuple | slice) for one in index):
        return False
    result: Value = e.node.result  # type: ignore[union-attr]
    return result is None or result.shape == x.shape or result.ndim < x.ndim + _depth(index) - 1


def _part(e: Emitter, part: Any) -> list[Entry]:
    if part is None:
        return [Entry("new", None)]
    if isinstance(part, bool):
        raise Untranslatable("an index is True or False", "use None for a new axis")
    if isinstance(part, slice):
        return [Entry("slice", slice(*(_bound(e, bound) for bound in (part.start, part.stop, part.step))))]
    if isinstance(part, int):
        return [Entry("number", e.number(part))]
    if isinstance(part, Value):
        return _tensor(e, part)
    if isinstance(part, list | tuple | range):
        return _sequence(e, list(part))
    raise Untranslatable(f"an index is a {type(part).__name__}", "use numbers, slices and tensors")


def _bound(e: Emitter, bound: Any) -> Any:
    if isinstance(bound, Value):
        known = known_values(bound)
        if known is None:
            raise Untranslatable("the bounds of a slice depend on values", "use sizes, or a mask with torch.where")
        bound = int(known)
    return None if bound is None else e.number(bound)


def _tensor(e: Emitter, value: Value) -> list[Entry]:
    if value.dtype in MASKS:
        known = known_values(value)
        if known is None:
            raise Untranslatable(_BY_MASK, "use torch.where(mask, ..., ...), which gives all of them")
        return [Entry("array", written(places), 1) for places in known.nonzero(as_tuple=True)]
    return [Entry("array", value, value.ndim) if value.ndim else Entry("number", e.array(value))]


def _sequence(e: Emitter, part: list[Any]) -> list[Entry]:
    """A list of numbers, nested or not."""
    array, ndim = np.array(_numbers(part)), _depth(part)
    if array.dtype == bool:
        return [Entry("array", call("jnp.array", places.tolist()), 1) for places in array.nonzero()]
    return [Entry("array", call("jnp.array", _nested(e, part)), ndim)]


def _numbers(part: Any) -> Any:
    if isinstance(part, list | tuple):
        return [_numbers(item) for item in part]
    return 0 if isinstance(part, Value) else part


def _nested(e: Emitter, part: Any) -> Any:
    if isinstance(part, list | tuple):
        return ast.List([_nested(e, item) for item in part], ast.Load())
    return e.array(part) if isinstance(part, Value) or is_traced(part) else e.number(part)


def _depth(part: Any) -> int:
    return 1 + _depth(part[0]) if isinstance(part, list | tuple) and part else int(isinstance(part, list | tuple))


def known_values(value: Value) -> Any:
    """The values of a tensor that is the same for all inputs and sizes, if they are few enough to be kept; or None."""
    if value.constant is not None:
        return value.constant
    return value.example if value.fixed and not value.sized else None
