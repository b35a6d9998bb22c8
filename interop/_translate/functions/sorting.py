"""Functions that sort, rank and search along one axis, and what they are counted by."""

from collections.abc import Callable
from typing import Any

from ..code import Expression, call, method, operation, subscript
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import plain, without
from ..sizes import is_traced
from .indices import WHOLE
from .reductions import reduced
from .shapes import places


def _argsort(e: Emitter, x: Value, dim: Any = -1, descending: bool = False, *, stable: bool = False) -> Out:
    more = {"descending": True} if descending else {}
    return Out(call("jnp.argsort", e.array(x), axis=places(e, x, dim), **more), e.order(x))


def _msort(e: Emitter, x: Value) -> Out:
    return Out(call("jnp.sort", e.array(x), axis=places(e, x, 0)), e.order(x))


def _topk(e: Emitter, x: Value, k: Any, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    axis = dim % x.ndim
    order = (*(one for one in e.order(x) if one != axis), axis)
    array = e.array(x, order)
    found, where = e.unpacked(
        call("jax.lax.top_k", array if largest else operation("-", array), e.number(k)), ["values"], ["indices"]
    )
    return Out(found if largest else operation("-", found), order), Out(where, order)


def _ranked(e: Emitter, x: Value, rank: Any, dim: int, keepdim: bool) -> tuple[Out, Out]:
    """What comes at this rank when an axis is sorted, and where it stands."""
    axis = places(e, x, dim)
    at = axis % x.ndim
    number = slice(rank, None if not is_traced(rank) and rank == -1 else rank + 1) if keepdim else rank
    index = (*[WHOLE] * at, number) if at else number
    order = e.order(x) if keepdim else without(e.order(x), [dim])
    made = (call(f"jnp.{function}", e.array(x), axis=axis) for function in ("sort", "argsort"))
    first, second = (Out(subscript(one, index), order) for one in made)
    return first, second


def _median(e: Emitter, x: Value, dim: int | None = None, keepdim: bool = False) -> Any:
    """torch's median is the lower of two in the middle."""
    if dim is None:
        count = 1
        for size in x.shape:
            count *= size
        flat = method(e.array(x), "reshape", -1)
        return Out(subscript(call("jnp.sort", flat), (count - 1) // 2), ())
    return _ranked(e, x, (x.shape[dim] - 1) // 2, dim, keepdim)


def _kthvalue(e: Emitter, x: Value, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    return _ranked(e, x, k - 1, dim, keepdim)


def _quantile(
    e: Emitter, x: Value, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Out:
    named, order = reduced(e, x, dim, keepdim)
    more = {} if interpolation == "linear" else {"method": interpolation}
    array = e.array(x) if dim is not None else e.array(x, plain(x.ndim))
    found = call("jnp.quantile", array, e.number(q), **named, **more)
    several = isinstance(q, Value) and q.ndim == 1
    return Out(found, (0, *(axis + 1 for axis in order)) if several else order)


def _running(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, dim: int) -> Any:
        _, where = e.node.result  # type: ignore[union-attr]
        if where in e.needed:
            raise Untranslatable("where running extrema are", "use their values alone")
        axis = places(e, x, dim) % x.ndim
        return Out(call(function, e.array(x), axis=axis), e.order(x)), Out(e.array(x), e.order(x))

    return handle


def _logcumsumexp(e: Emitter, x: Value, dim: int) -> Out:
    return Out(call("jax.lax.cumlogsumexp", e.array(x), axis=places(e, x, dim) % x.ndim), e.order(x))


def _diff(e: Emitter, x: Value, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Out:
    order = e.order(x)
    more: dict[str, Any] = {} if n == 1 else {"n": n}
    more |= {} if prepend is None else {"prepend": e.array(prepend, order)}
    more |= {} if append is None else {"append": e.array(append, order)}
    return Out(call("jnp.diff", e.array(x), axis=places(e, x, dim), **more), order)


# Searching


def _side(right: bool, side: str | None) -> dict[str, str]:
    return {"side": "right"} if right or side == "right" else {}


def _searchsorted(
    e: Emitter, boundaries: Value, x: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None
) -> Out:
    if boundaries.ndim != 1:
        raise Untranslatable("searchsorted in several sequences", "search them one by one")
    return _searched(e, boundaries, x, right, side)


def _bucketize(e: Emitter, x: Any, boundaries: Value, *, out_int32: bool = False, right: bool = False) -> Out:
    return _searched(e, boundaries, x, right, None)


def _searched(e: Emitter, boundaries: Value, x: Any, right: bool, side: str | None) -> Out:
    found: Expression = e.array(x) if isinstance(x, Value) else e.number(x)
    order = e.order(x) if isinstance(x, Value) else ()
    return Out(call("jnp.searchsorted", e.array(boundaries), found, **_side(right, side)), order)


def _isin(e: Emitter, x: Value, among: Any, *, assume_unique: bool = False, invert: bool = False) -> Out:
    more = {"invert": True} if invert else {}
    return Out(call("jnp.isin", e.array(x), e.number(among), **more), e.order(x))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "argsort": _argsort,
    "msort": _msort,
    "topk": _topk,
    "median": _median,
    "kthvalue": _kthvalue,
    "quantile": _quantile,
    "cummax": _running("jax.lax.cummax"),
    "cummin": _running("jax.lax.cummin"),
    "logcumsumexp": _logcumsumexp,
    "diff": _diff,
    "searchsorted": _searchsorted,
    "bucketize": _bucketize,
    "isin": _isin,
}
