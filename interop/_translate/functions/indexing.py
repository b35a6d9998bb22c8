"""Indices, and writes to what they select."""

import ast
from collections.abc import Callable
from typing import Any

from ..code import Expression, call, method, operation, subscript
from ..emitting import Emitter, Out, Untranslatable, dtype
from ..graph import Value
from ..orders import Order, plain
from ..sizes import is_traced
from .folding import patches
from .indices import ALL, MASKS, WHOLE, known_values, laid_out
from .shapes import sizes_of


def _getitem(e: Emitter, x: Value, index: Any) -> Out:
    layout = laid_out(e, x, index)
    return Out(layout.of(e.array(x)), layout.order)


def _setitem(e: Emitter, x: Value, index: Any, value: Any) -> Out:
    return _written(e, x, index, value, "set")


def _written(e: Emitter, x: Value, index: Any, value: Any, how: str) -> Out:
    """The tensor with something else at an index."""
    mask = _mask(index)
    if mask is not None and how == "set":
        return _masked(e, x, *mask, value)
    layout = laid_out(e, x, index)
    new = _assigned(e, x, value, layout.order)
    if layout.index is not ALL:
        at = subscript(ast.Attribute(e.array(x), "at", ast.Load()), layout.index)
        return Out(method(at, how, new), e.order(x))
    if how == "add":
        return Out(operation("+", e.array(x), new), e.order(x))
    if isinstance(value, Value) and value.shape == x.shape:
        return Out(new, e.order(x))
    return Out(call("jnp.full_like", e.array(x), new), e.order(x))


def _assigned(e: Emitter, x: Value, value: Any, order: Order) -> Expression:
    """What is assigned, as it is broadcast to axes in this order, and of the tensor's kind of numbers."""
    if not isinstance(value, Value):
        return e.number(value)
    array = e.broadcast(value, order) if value.ndim <= len(order) else _without_ones(e, value, order)
    same = value.dtype == x.dtype or ("float" in value.dtype and "float" in x.dtype)
    return array if same else method(array, "astype", dtype(x.dtype))


def _without_ones(e: Emitter, value: Value, order: Order) -> Expression:
    """A tensor with more axes than it is assigned to, the first of one row each, which torch leaves out."""
    more = value.ndim - len(order)
    array = e.array(value, (*range(more), *(axis + more for axis in order)))
    return subscript(array, (0,) * more if more > 1 else 0)


def _mask(index: Any) -> tuple[Value, int] | None:
    """The mask of an index that has one which depends on values, and selects all else; and the axis it begins at."""
    parts = index if isinstance(index, tuple) else (index,)
    masks = [part for part in parts if isinstance(part, Value) and part.dtype in MASKS and known_values(part) is None]
    if len(masks) != 1 or any(part != WHOLE and part is not Ellipsis for part in parts if part is not masks[0]):
        return None
    if Ellipsis in [part for part in parts if part is not masks[0]]:
        return (masks[0], -masks[0].ndim) if parts[-1] is masks[0] and len(parts) == 2 else None
    return masks[0], [part is masks[0] for part in parts].index(True)


def _masked(e: Emitter, x: Value, mask: Value, axis: int, value: Any) -> Out:
    """The tensor with something else where a mask, of some of its axes, is true."""
    axis %= max(x.ndim, 1)
    rest = x.ndim - axis - mask.ndim
    if isinstance(value, Value) and value.ndim > rest:
        raise Untranslatable(
            "what a mask selects is set to values one by one", "compute them for all, and use torch.where(mask, ..., x)"
        )
    order = e.order(x)
    where = _along(e, mask, axis, order)
    new = e.broadcast(value, order) if isinstance(value, Value) else e.number(value)
    if isinstance(value, Value) and value.dtype != x.dtype and "float" not in (value.dtype[:5], x.dtype[:5]):
        new = method(new, "astype", dtype(x.dtype))
    return Out(call("jnp.where", where, new, e.array(x)), order)


def _along(e: Emitter, value: Value, first: int, order: Order) -> Expression:
    """A tensor that has some axes of another, from `first` on, so that it is broadcast to those in this order."""
    its = range(first, first + value.ndim)
    array = e.array(value, tuple(axis - first for axis in order if axis in its))
    leading = next((n for n, axis in enumerate(order) if axis in its), 0)
    index = [WHOLE if axis in its else None for axis in order[leading:]]
    return array if None not in index else subscript(array, tuple(index))


def _index_put(e: Emitter, x: Value, indices: Any, values: Any, accumulate: bool = False) -> Out:
    index = tuple(WHOLE if part is None else part for part in indices)
    return _written(e, x, index, values, "add" if accumulate else "set")


def along_axis(x: Value, dim: int, index: Any) -> tuple[Any, ...]:
    """An index of one axis."""
    return (*[WHOLE] * (dim % max(x.ndim, 1)), index)


def _select(e: Emitter, x: Value, dim: int, index: Any) -> Out:
    return _getitem(e, x, along_axis(x, dim, index))


def _narrow(e: Emitter, x: Value, dim: int, start: Any, length: Any) -> Out:
    first = None if not is_traced(start) and start == 0 else start
    return _getitem(e, x, along_axis(x, dim, slice(first, length if first is None else start + length)))


def _index_select(e: Emitter, x: Value, dim: int, index: Value) -> Out:
    if index.ndim == 0:
        raise Untranslatable("index_select with one number", "give it a tensor with one element")
    return _getitem(e, x, along_axis(x, dim, index))


def _index_written(how: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, dim: int, index: Value, source: Any, *, alpha: Any = 1) -> Out:
        if alpha != 1:
            raise Untranslatable("index_add with alpha", "multiply what is added by it")
        return _written(e, x, along_axis(x, dim, index), source, how)

    return handle


def _index_fill(e: Emitter, x: Value, dim: int, index: Value, value: Any) -> Out:
    return _written(e, x, along_axis(x, dim, index), value, "set")


def _take(e: Emitter, x: Value, index: Value) -> Out:
    flat = method(e.array(x, plain(x.ndim)), "reshape", -1)
    return Out(subscript(flat, e.array(index)), e.order(index))


def _select_scatter(e: Emitter, x: Value, src: Value, dim: int, index: int) -> Out:
    return _written(e, x, along_axis(x, dim, index), src, "set")


def _slice_scatter(
    e: Emitter, x: Value, src: Value, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Out:
    bounds = slice(start, end, None if step == 1 else step)
    return _written(e, x, along_axis(x, dim, bounds), src, "set")


def _masked_scatter(e: Emitter, x: Value, mask: Value, source: Value) -> Out:
    """The n-th place that is true gets the n-th value of the source."""
    order = plain(x.ndim)
    shape = ast.Attribute(e.array(x), "shape", ast.Load()) if e.order(x) == order else e.number(tuple(sizes_of(e, x)))
    where = e.temporary(call("jnp.broadcast_to", e.broadcast(mask, order), shape), "mask")
    numbers = method(operation("-", call("jnp.cumsum", where), 1), "reshape", shape)
    flat = method(e.array(source, plain(source.ndim)), "reshape", -1)
    return Out(call("jnp.where", where, subscript(flat, numbers), e.array(x, order)), order)


def _unfold(e: Emitter, x: Value, *args: Any, **kwargs: Any) -> Out:
    """Windows along one axis as a new last axis; or, for the function of that name, patches of maps."""
    result: Value = e.node.result  # type: ignore[union-attr]
    return (windows_of if result.ndim == x.ndim + 1 else patches)(e, x, *args, **kwargs)


def windows_of(e: Emitter, x: Value, dimension: int, size: int, step: int) -> Out:
    """Windows along one axis, which become the last axis in torch."""
    order, dim = e.order(x), dimension % x.ndim
    at = order.index(dim)
    starts = call("jnp.arange", 0, operation("-", sizes_of(e, x)[dim], e.number(size - 1)), e.number(step))
    windows = operation("+", subscript(starts, (WHOLE, None)), call("jnp.arange", e.number(size)))
    found = subscript(e.array(x), (*[WHOLE] * at, windows) if at else windows)
    return Out(found, (*order[: at + 1], x.ndim, *order[at + 1 :]))


def _as_strided(e: Emitter, x: Value, *args: Any, **kwargs: Any) -> Out:
    raise Untranslatable("as_strided depends on how the tensor lies in memory", "use slices, unfold or reshape")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "__getitem__": _getitem,
    "__setitem__": _setitem,
    "select": _select,
    "narrow": _narrow,
    "index_put": _index_put,
    "index_select": _index_select,
    "index_add": _index_written("add"),
    "index_copy": _index_written("set"),
    "index_fill": _index_fill,
    "take": _take,
    "select_scatter": _select_scatter,
    "slice_scatter": _slice_scatter,
    "masked_scatter": _masked_scatter,
    "unfold": _unfold,
    "as_strided": _as_strided,
}
