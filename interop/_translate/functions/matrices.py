"""Functions of matrices that have one result: inverses, determinants, powers, solutions."""

from collections.abc import Callable
from typing import Any

from ..code import Expression, call
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import Order, plain


def _last(e: Emitter, x: Value) -> tuple[Expression, Order]:
    """A tensor with its matrices last."""
    order = e.order(x)
    order = order if order[-2:] == plain(x.ndim)[-2:] else plain(x.ndim)
    return e.array(x, order), order


def _same_shape(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, *, check_errors: bool = False) -> Out:
        array, order = _last(e, x)
        return Out(call(function, array), order)

    return handle


def _det(e: Emitter, x: Value) -> Out:
    array, order = _last(e, x)
    return Out(call("jnp.linalg.det", array), order[:-2])


def _slogdet(e: Emitter, x: Value) -> Any:
    array, order = _last(e, x)
    sign, log = e.unpacked(call("jnp.linalg.slogdet", array), ["sign"], ["logdet"])
    return Out(sign, order[:-2]), Out(log, order[:-2])


def _cholesky(e: Emitter, x: Value, upper: bool = False) -> Out:
    array, order = _last(e, x)
    return Out(call("jnp.linalg.cholesky", array, **({"upper": True} if upper else {})), order)


def _solve(e: Emitter, a: Value, b: Value, *, left: bool = True) -> Out:
    if not left or b.ndim == 1 or b.ndim != a.ndim:
        raise Untranslatable("a solution from the right, or for vectors", "solve for matrices, from the left")
    return Out(call("jnp.linalg.solve", e.array(a, plain(a.ndim)), e.array(b, plain(b.ndim))), plain(b.ndim))


def _power(e: Emitter, x: Value, n: int) -> Out:
    array, order = _last(e, x)
    return Out(call("jnp.linalg.matrix_power", array, n), order)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "inv": _same_shape("jnp.linalg.inv"),
    "inverse": _same_shape("jnp.linalg.inv"),
    "det": _det,
    "slogdet": _slogdet,
    "cholesky": _cholesky,
    "solve": _solve,
    "matrix_power": _power,
    "matrix_exp": _same_shape("jax.scipy.linalg.expm"),
}
