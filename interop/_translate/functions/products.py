"""Products of matrices and vectors."""

import ast
from collections.abc import Callable, Sequence
from typing import Any

from ..code import Expression, call, operation
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import Order, plain
from ..sizes import is_traced
from .contractions import contracted, equation_of, matrices, over_axes
from .shapes import spread


def _matmul(e: Emitter, a: Value, b: Value, *, out: None = None) -> Out:
    return product(e, a, b)


def _reflected_matmul(e: Emitter, a: Value, b: Value) -> Out:
    return product(e, b, a)


def product(e: Emitter, a: Value, b: Value) -> Out:
    """`a @ b` as torch has it; an operand that is turned only in name is turned where it is used."""
    if min(a.ndim, b.ndim) == 1:
        return _with_vector(e, a, b)
    ndim = max(a.ndim, b.ndim)
    batches = [_batch(e.order(value), ndim) for value in (a, b)]
    whole = max((batch for batch in batches if batch is not None), key=len, default=None)
    if whole is None or any(batch is None or batch != whole[len(whole) - len(batch) :] for batch in batches):
        return _interleaved(e, a, b)
    left, right = e.array(a), e.array(b)
    if _is_turned(e, a) and _is_turned(e, b):
        # The product of two matrices that are turned is that of the others, turned.
        return Out(operation("@", right, left), (*whole, ndim - 1, ndim - 2))
    left = turned(left, a.ndim) if _is_turned(e, a) else left
    right = turned(right, b.ndim) if _is_turned(e, b) else right
    return Out(operation("@", left, right), (*whole, ndim - 2, ndim - 1))


def _interleaved(e: Emitter, a: Value, b: Value) -> Out:
    """Where the axes of the matrices stand between the others."""
    letters_fit = a.ndim == b.ndim or min(a.ndim, b.ndim) == 2
    if not letters_fit:
        return Out(operation("@", e.array(a, plain(a.ndim)), e.array(b, plain(b.ndim))), plain(max(a.ndim, b.ndim)))
    return matrices(e, a, b)


def _with_vector(e: Emitter, a: Value, b: Value) -> Out:
    if a.ndim == b.ndim:
        return Out(call("jnp.dot", e.array(a), e.array(b)), ())
    wide = a if a.ndim > 1 else b
    batch = _batch(e.order(wide), wide.ndim)
    if batch is None:
        order = plain(wide.ndim)
        left, right = (e.array(value, order if value is wide else None) for value in (a, b))
        return Out(operation("@", left, right), plain(wide.ndim - 1))
    gone, kept = (wide.ndim - 1, wide.ndim - 2) if wide is a else (wide.ndim - 2, wide.ndim - 1)
    order = tuple(wide.ndim - 2 if axis == kept else axis for axis in (*batch, kept))
    last = e.order(wide)[-1] == gone
    if wide.ndim == 2:
        vector, matrix = e.array(b if wide is a else a), e.array(wide)
        return Out(operation("@", matrix, vector) if last else operation("@", vector, matrix), order)
    array = e.array(wide)
    array = array if last == (wide is a) else turned(array, wide.ndim)
    left, right = (array if value is wide else e.array(value) for value in (a, b))
    return Out(operation("@", left, right), order)


def _batch(order: Order, ndim: int) -> Order | None:
    """The order of the axes before a matrix's own, counted as in the result; None if they do not come first."""
    missing = ndim - len(order)
    if set(order[-2:]) != {len(order) - 2, len(order) - 1}:
        return None
    return tuple(axis + missing for axis in order[:-2])


def _is_turned(e: Emitter, value: Value) -> bool:
    return e.order(value)[-1] == value.ndim - 2


def turned(array: Expression, ndim: int) -> Expression:
    """Matrices with their rows as columns."""
    return ast.Attribute(array, "T" if ndim == 2 else "mT", ast.Load())


# What adds to a product


def plus(e: Emitter, made: Out, base: Value, beta: Any = 1, alpha: Any = 1) -> Out:
    """`alpha * made + beta * base`, where the second broadcasts to the first."""
    found = Value(e.node.result.shape, base.dtype)  # type: ignore[union-attr]
    e.set(found, made)
    (left, right), order = e.aligned(found, base)
    if is_traced(alpha) or alpha != 1:
        left = operation("*", e.number(alpha), left)
    if is_traced(beta) or beta != 1:
        right = operation("*", e.number(beta), right)
    ignored = not is_traced(beta) and beta == 0
    return Out(left if ignored else operation("+", left, right), order)


def _addmm(e: Emitter, base: Value, a: Value, b: Value, *, beta: Any = 1, alpha: Any = 1, out: None = None) -> Out:
    return plus(e, product(e, a, b), base, beta, alpha)


def _addbmm(e: Emitter, base: Value, a: Value, b: Value, *, beta: Any = 1, alpha: Any = 1, out: None = None) -> Out:
    return plus(e, contracted(e, [(a, "bnm"), (b, "bmd")], "nd"), base, beta, alpha)


def _addr(e: Emitter, base: Value, a: Value, b: Value, *, beta: Any = 1, alpha: Any = 1, out: None = None) -> Out:
    return plus(e, _outer(e, a, b), base, beta, alpha)


# Others


def _outer(e: Emitter, a: Value, b: Value, *, out: None = None) -> Out:
    return Out(call("jnp.outer", e.array(a), e.array(b)), (0, 1))


def _vdot(e: Emitter, a: Value, b: Value, *, out: None = None) -> Out:
    return Out(call("jnp.vdot", e.array(a), e.array(b)), ())


def _vecdot(e: Emitter, a: Value, b: Value, *, dim: int = -1, out: None = None) -> Out:
    if a.ndim != b.ndim:
        raise Untranslatable("vecdot of tensors with different numbers of axes", "give both the same number")
    order = e.order(a)
    left, right = e.array(a), e.array(b, order)
    at = order.index(dim % a.ndim)
    rest = tuple(axis - (axis > dim % a.ndim) for axis in order if axis != dim % a.ndim)
    more = {} if at == a.ndim - 1 else {"axis": at}
    return Out(call("jnp.vecdot", left, right, **more), rest)


def _inner(e: Emitter, a: Value, b: Value, *, out: None = None) -> Out:
    if not a.ndim or not b.ndim:
        given, order = e.aligned(a, b)
        return Out(operation("*", *given), order)
    if a.ndim == b.ndim == 1:
        return product(e, a, b)
    if all(e.order(value) == plain(value.ndim) for value in (a, b)):
        return Out(call("jnp.inner", e.array(a), e.array(b)), _result(e))
    return over_axes(e, a, b, ([-1], [-1]))


def _kron(e: Emitter, a: Value, b: Value, *, out: None = None) -> Out:
    return Out(call("jnp.kron", e.array(a, plain(a.ndim)), e.array(b, plain(b.ndim))), plain(max(a.ndim, b.ndim)))


def _multi_dot(e: Emitter, *tensors: Any, out: None = None) -> Out:
    given = spread(tensors)
    return Out(call("jnp.linalg.multi_dot", [e.array(value, plain(value.ndim)) for value in given]), _result(e))


def _result(e: Emitter) -> Order:
    return plain(e.node.result.ndim)  # type: ignore[union-attr]


def _einsum(e: Emitter, equation: Any, *operands: Any) -> Out:
    if not isinstance(equation, str):
        equation, operands = _as_letters((equation, *operands))
    return equation_of(e, equation, spread(operands))


def _as_letters(given: Sequence[Any]) -> tuple[str, tuple[Value, ...]]:
    """torch's other form, in which each tensor is followed by numbers for its axes."""

    first = "a" if all(axis is Ellipsis or axis < 26 for axes in given for axis in _axes(axes)) else "A"

    def word(axes: Sequence[Any]) -> str:
        letters = (chr(ord(first if axis < 26 else "a") + axis % 26) for axis in axes if axis is not Ellipsis)
        return "".join("..." if axis is Ellipsis else next(letters) for axis in axes)

    inputs, rest = given[: len(given) // 2 * 2], given[len(given) // 2 * 2 :]
    equation = ",".join(word(axes) for axes in inputs[1::2])
    return equation + "".join(f"->{word(axes)}" for axes in rest), tuple(inputs[::2])


def _axes(given: Any) -> Sequence[Any]:
    return given if isinstance(given, tuple | list) else ()


def _tensordot(e: Emitter, a: Value, b: Value, dims: Any = 2, out: None = None) -> Out:
    if isinstance(dims, Value):
        raise Untranslatable("tensordot with dims that are a tensor", "give it ints or lists of ints")
    whole = ([*range(a.ndim - dims, a.ndim)], [*range(dims)]) if isinstance(dims, int) else dims
    if all(e.order(value) == plain(value.ndim) for value in (a, b)):
        axes = dims if isinstance(dims, int) else tuple(tuple(some) for some in dims)
        return Out(call("jnp.tensordot", e.array(a), e.array(b), axes), _result(e))
    return over_axes(e, a, b, whole)


def _bilinear(e: Emitter, input1: Value, input2: Value, weight: Value, bias: Value | None = None) -> Out:
    letters = [(input1, "...i"), (weight, "oij"), (input2, "...j")]
    made = contracted(e, letters, "...o", input1.ndim - 1)
    return made if bias is None else plus(e, made, bias)


def _named(handle: Callable[..., Out], *words: str) -> Callable[..., Out]:
    """The same function where torch's arguments after the first may be named, as torch names them."""

    def called(e: Emitter, first: Value, *args: Any, **named: Any) -> Out:
        rest = [named.pop(word) for word in words[len(args) :] if word in named]
        return handle(e, first, *args, *rest, **named)

    return called


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "matmul": _named(_matmul, "other"),
    "__matmul__": _matmul,
    "__rmatmul__": _reflected_matmul,
    "mm": _named(_matmul, "mat2"),
    "spmm": _matmul,
    "bmm": _named(_matmul, "mat2"),
    "mv": _named(_matmul, "vec"),
    "dot": _named(_matmul, "tensor"),
    "vdot": _named(_vdot, "other"),
    "inner": _named(_inner, "other"),
    "vecdot": _vecdot,
    "addmm": _named(_addmm, "mat1", "mat2"),
    "addmv": _named(_addmm, "mat", "vec"),
    "baddbmm": _named(_addmm, "batch1", "batch2"),
    "addbmm": _named(_addbmm, "batch1", "batch2"),
    "addr": _named(_addr, "vec1", "vec2"),
    "outer": _named(_outer, "vec2"),
    "ger": _named(_outer, "vec2"),
    "kron": _named(_kron, "other"),
    "multi_dot": _multi_dot,
    "chain_matmul": _multi_dot,
    "einsum": _einsum,
    "tensordot": _tensordot,
    "bilinear": _bilinear,
}
