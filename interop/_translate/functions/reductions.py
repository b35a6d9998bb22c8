"""Functions that reduce axes: sums, means, extrema, norms."""

from collections.abc import Callable
from typing import Any

from ..code import Expression, call, literal, method, operation, subscript
from ..emitting import Emitter, Out, Untranslatable
from ..emitting import dtype as dtype_name
from ..graph import Value
from ..orders import plain, without
from .shapes import places


def reduced(e: Emitter, x: Value, dim: Any, keepdim: bool) -> tuple[dict[str, Any], Any]:
    """The arguments `axis` and `keepdims`, and the order of what is left."""
    if dim is None or (isinstance(dim, tuple | list) and not dim):
        return {}, () if not keepdim else plain(x.ndim)
    axes = [dim] if isinstance(dim, int) else list(dim)
    named: dict[str, Any] = {"axis": places(e, x, dim if isinstance(dim, int) else axes)}
    if keepdim:
        return {**named, "keepdims": True}, e.order(x)
    return named, without(e.order(x), axes)


def _reduction(function: str) -> Callable[..., Any]:
    def handle(
        e: Emitter,
        x: Value,
        dim: Any = None,
        keepdim: bool = False,
        *,
        dtype: Any = None,
        axis: Any = None,
        keepdims: bool = False,
    ) -> Any:
        dim = axis if dim is None else dim
        named, order = reduced(e, x, dim, keepdim or keepdims)
        more = {} if dtype is None else {"dtype": dtype_name(dtype)}
        return Out(call(function, e.array(x), **named, **more), order)

    return handle


def _variance(function: str) -> Callable[..., Any]:
    def handle(
        e: Emitter, x: Value, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
    ) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        less = correction if correction is not None else int(True if unbiased is None else unbiased)
        named, order = reduced(e, x, dim, keepdim)
        more = {"ddof": less} if less else {}
        return Out(call(function, e.array(x), **named, **more), order)

    return handle


def _variance_and_mean(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, *args: Any, **kwargs: Any) -> Any:
        spread = _variance(function)(e, x, *args, **kwargs)
        kept = {word: kwargs[word] for word in ("dim", "keepdim") if word in kwargs}
        args = args[:1] if args and not isinstance(args[0], bool) else ()
        return spread, _reduction("jnp.mean")(e, x, *args, **kept)

    return handle


def _aminmax(e: Emitter, x: Value, *, dim: int | None = None, keepdim: bool = False) -> Any:
    return tuple(_reduction(function)(e, x, dim, keepdim) for function in ("jnp.min", "jnp.max"))


def _extremum(function: str, positions: str, two: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        other = dim if isinstance(dim, Value) else other
        if other is not None:
            given, order = e.aligned(x, other)
            return Out(call(two, *given), order)
        named, order = reduced(e, x, dim, keepdim)
        if dim is None:
            return Out(call(function, e.array(x)), order)
        largest, where = (Out(call(name, e.array(x), **named), order) for name in (function, positions))
        return (largest, where)

    return handle


def _argument(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, dim: Any = None, keepdim: bool = False) -> Any:
        named, order = reduced(e, x, dim, keepdim)
        array = e.array(x, plain(x.ndim)) if dim is None else e.array(x)
        return Out(call(function, array, **named), order)

    return handle


def _norm(
    e: Emitter, x: Value, p: Any = 2, dim: Any = None, keepdim: bool = False, *, ord: Any = None, dtype: Any = None
) -> Any:
    p = p if ord is None else ord
    if p in (None, "fro"):
        p = 2
    named, order = reduced(e, x, dim, keepdim)
    array = e.array(x)
    if dim is None or (isinstance(dim, tuple | list) and len(dim) > 1):
        if p != 2:
            raise Untranslatable(f"a norm of order {p} over several axes", "reduce one axis after the other")
        return Out(call("jnp.sqrt", call("jnp.sum", call("jnp.square", array), **named)), order)
    more = {} if p == 2 else {"ord": p}
    return Out(call("jnp.linalg.norm", array, **more, **named), order)


def _cumulative(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, dim: int, *, dtype: Any = None) -> Out:
        return Out(call(function, e.array(x), axis=places(e, x, dim)), e.order(x))

    return handle


def _sort(e: Emitter, x: Value, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    axis = places(e, x, dim)
    more = {"descending": True} if descending else {}
    return (
        Out(call("jnp.sort", e.array(x), axis=axis, **more), e.order(x)),
        Out(call("jnp.argsort", e.array(x), axis=axis, **more), e.order(x)),
    )


def _loss(function: str) -> Callable[..., Any]:
    def handle(
        e: Emitter,
        x: Value,
        target: Value,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        weight: Any = None,
    ) -> Out:
        if weight is not None:
            raise Untranslatable("a loss with weights", "multiply by the weights")
        (left, right), order = e.aligned(x, target)
        found = call(function, operation("-", left, right))
        return Out(found, order) if reduction == "none" else Out(call(f"jnp.{reduction}", found), ())

    return handle


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _reduction("jnp.sum"),
    "mean": _reduction("jnp.mean"),
    "prod": _reduction("jnp.prod"),
    "amax": _reduction("jnp.max"),
    "amin": _reduction("jnp.min"),
    "all": _reduction("jnp.all"),
    "any": _reduction("jnp.any"),
    "logsumexp": _reduction("jax.nn.logsumexp"),
    "nansum": _reduction("jnp.nansum"),
    "nanmean": _reduction("jnp.nanmean"),
    "count_nonzero": _reduction("jnp.count_nonzero"),
    "var": _variance("jnp.var"),
    "std": _variance("jnp.std"),
    "var_mean": _variance_and_mean("jnp.var"),
    "std_mean": _variance_and_mean("jnp.std"),
    "aminmax": _aminmax,
    "max": _extremum("jnp.max", "jnp.argmax", "jnp.maximum"),
    "min": _extremum("jnp.min", "jnp.argmin", "jnp.minimum"),
    "argmax": _argument("jnp.argmax"),
    "argmin": _argument("jnp.argmin"),
    "mse_loss": _loss("jnp.square"),
    "l1_loss": _loss("jnp.abs"),
    "norm": _norm,
    "vector_norm": _norm,
    "cumsum": _cumulative("jnp.cumsum"),
    "cumprod": _cumulative("jnp.cumprod"),
    "sort": _sort,
}
_ = (Expression, literal, method, operation, subscript)
