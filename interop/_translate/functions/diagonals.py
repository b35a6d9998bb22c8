"""Triangles and diagonals of matrices."""

from collections.abc import Callable
from typing import Any

from ..code import call, name, subscript
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import place, plain, without
from .shapes import sizes_of


def _triangle(function: str, other: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, diagonal: Any = 0) -> Out:
        order = e.order(x)
        last = order[-2:]
        if last == (x.ndim - 1, x.ndim - 2):  # the rows are columns, and what is above is below
            return Out(call(other, e.array(x), **_offset(e, -diagonal)), order)
        if last != (x.ndim - 2, x.ndim - 1):
            order = plain(x.ndim)
        return Out(call(function, e.array(x, order), **_offset(e, diagonal)), order)

    return handle


def _offset(e: Emitter, number: Any, name: str = "k") -> dict[str, Any]:
    return {name: e.number(number)} if number else {}


def _diagonal(e: Emitter, x: Value, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Out:
    order = e.order(x)
    axes = {"axis1": order.index(dim1 % x.ndim), "axis2": order.index(dim2 % x.ndim)}
    if axes == {"axis1": 0, "axis2": 1}:
        axes = {}
    found = call("jnp.diagonal", e.array(x), **_offset(e, offset, "offset"), **axes)
    return Out(found, (*without(order, [dim1, dim2]), x.ndim - 2))


def _diag(e: Emitter, x: Value, diagonal: int = 0) -> Out:
    found = call("jnp.diag", e.array(x, plain(x.ndim)), **_offset(e, diagonal))
    return Out(found, plain(2 if x.ndim == 1 else 1))


def _diag_embed(e: Emitter, x: Value, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Out:
    if offset or (dim1 % (x.ndim + 1), dim2 % (x.ndim + 1)) != (x.ndim - 1, x.ndim):
        raise Untranslatable("diag_embed of other axes than the last, or beside the diagonal", "move the axes after it")
    array = e.array(x, plain(x.ndim))
    on_diagonal = call("jnp.eye", sizes_of(e, x)[-1], dtype=name("bool"))
    return Out(call("jnp.where", on_diagonal, subscript(array, (Ellipsis, None)), 0), plain(x.ndim + 1))


def _trace(e: Emitter, x: Value) -> Out:
    return Out(call("jnp.trace", e.array(x)), ())


def _rot90(e: Emitter, x: Value, k: int = 1, dims: Any = (0, 1)) -> Out:
    order = e.order(x)
    axes = tuple(place(order, axis) for axis in dims)
    return Out(call("jnp.rot90", e.array(x), k, **({} if axes == (0, 1) else {"axes": axes})), order)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tril": _triangle("jnp.tril", "jnp.triu"),
    "triu": _triangle("jnp.triu", "jnp.tril"),
    "diagonal": _diagonal,
    "diag": _diag,
    "diag_embed": _diag_embed,
    "trace": _trace,
    "rot90": _rot90,
}
