"""Elements by indices along one axis: gathered, and scattered."""

import ast
from collections.abc import Callable
from typing import Any

from ..code import Expression, call, method, subscript
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import Order, place, plain
from .indices import WHOLE
from .shapes import sizes_of


def _gather(e: Emitter, x: Value, dim: int, index: Value, *, sparse_grad: bool = False) -> Out:
    if x.ndim == 0 or index.ndim == 0:
        raise Untranslatable("gather of a single number", "use it as it is")
    order = e.order(x)
    found = call("jnp.take_along_axis", _cut(e, x, index, dim, order), e.array(index, order), axis=place(order, dim))
    return Out(found, order)


def _cut(e: Emitter, x: Value, index: Value, dim: int | None, order: Order) -> Expression:
    """A tensor in this order, as much of it as an index has rows along the other axes, for torch uses no more."""
    parts: list[Any] = [WHOLE] * x.ndim
    for n, axis in enumerate(order):
        if axis != (None if dim is None else dim % x.ndim) and index.shape[axis] != x.shape[axis]:
            parts[n] = slice(None, e.number(sizes_of(e, index)[axis]))
    while parts and parts[-1] == WHOLE:
        parts.pop()
    array = e.array(x, order)
    return array if not parts else subscript(array, tuple(parts) if len(parts) > 1 else parts[0])


def _take_along_dim(e: Emitter, x: Value, indices: Value, dim: int | None = None) -> Out:
    if dim is None:
        arrays = (method(e.array(one, plain(one.ndim)), "reshape", -1) for one in (x, indices))
        return Out(call("jnp.take_along_axis", *arrays, axis=0), (0,))
    order = e.order(x)
    return Out(call("jnp.take_along_axis", e.array(x), e.array(indices, order), axis=place(order, dim)), order)


# How torch's names of what becomes of several numbers at one place are called in JAX.
_REDUCTIONS = {
    None: "set", "add": "add", "multiply": "multiply", "sum": "add", "prod": "multiply", "amax": "max", "amin": "min",
}  # fmt: skip


def _scattered(e: Emitter, x: Value, dim: int, index: Value, source: Any, how: str) -> Out:
    if x.ndim == 0 or index.ndim == 0:
        raise Untranslatable("scatter into a single number", "use torch.where")
    order = e.order(x)
    at = order.index(dim % x.ndim)
    places = e.array(index, order)
    if x.ndim > 1:
        shape = ast.Attribute(places, "shape", ast.Load())
        grid = e.temporary(call("jnp.indices", shape, sparse=True), "grid")
        where: Any = tuple(places if n == at else subscript(grid, n) for n in range(x.ndim))
    else:
        where = places
    if isinstance(source, Value):
        source = _cut(e, source, index, None, order) if source.ndim else e.array(source)
    target = subscript(ast.Attribute(e.array(x), "at", ast.Load()), where)
    return Out(method(target, how, source if isinstance(source, ast.expr) else e.number(source)), order)


def _scatter(
    e: Emitter, x: Value, dim: int, index: Value, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Out:
    return _scattered(e, x, dim, index, value if src is None else src, _REDUCTIONS[reduce])


def _scatter_add(e: Emitter, x: Value, dim: int, index: Value, src: Value) -> Out:
    return _scattered(e, x, dim, index, src, "add")


def _scatter_reduce(
    e: Emitter, x: Value, dim: int, index: Value, src: Value, reduce: str, *, include_self: bool = True
) -> Out:
    if reduce not in _REDUCTIONS or not include_self:
        raise Untranslatable("scatter_reduce to a mean, or without the values that are there", "use sum, amax or amin")
    return _scattered(e, x, dim, index, src, _REDUCTIONS[reduce])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "gather": _gather,
    "take_along_dim": _take_along_dim,
    "scatter": _scatter,
    "scatter_add": _scatter_add,
    "scatter_reduce": _scatter_reduce,
}
