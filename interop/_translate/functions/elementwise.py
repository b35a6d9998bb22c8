"""Functions of each element: arithmetic, comparisons, activations, and changes of dtype."""

from collections.abc import Callable
from typing import Any

from ..code import call, method, operation
from ..emitting import Emitter, Handler, Out, Untranslatable, dtype
from ..graph import Value

_SYMBOLS = {
    "add": "+", "sub": "-", "subtract": "-", "mul": "*", "multiply": "*", "div": "/", "divide": "/", "true_divide": "/",
    "floor_divide": "//", "remainder": "%", "pow": "**",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "greater": ">", "less": "<",
    "__and__": "&", "__or__": "|", "__xor__": "^", "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^",
    "__eq__": "==", "__ne__": "!=", "__lt__": "<", "__le__": "<=", "__gt__": ">", "__ge__": ">=",
    "__add__": "+", "__sub__": "-", "__mul__": "*", "__truediv__": "/", "__floordiv__": "//",
    "__mod__": "%", "__pow__": "**",
    "__iadd__": "+", "__isub__": "-", "__imul__": "*", "__itruediv__": "/", "__idiv__": "/", "__iand__": "&",
    "__ior__": "|",
}  # fmt: skip
_REFLECTED = {
    "rsub": "-", "__rsub__": "-", "__radd__": "+", "__rmul__": "*", "__rdiv__": "/", "__rtruediv__": "/",
    "__rpow__": "**",
    "__rfloordiv__": "//", "__rmod__": "%",
}  # fmt: skip
_TWO = {
    "maximum": "jnp.maximum", "minimum": "jnp.minimum", "atan2": "jnp.arctan2", "fmod": "jnp.fmod",
    "logical_and": "jnp.logical_and", "logical_or": "jnp.logical_or", "logical_xor": "jnp.logical_xor",
    "logaddexp": "jnp.logaddexp", "logaddexp2": "jnp.logaddexp2", "hypot": "jnp.hypot",
    "xlogy": "jax.scipy.special.xlogy", "arctan2": "jnp.arctan2", "copysign": "jnp.copysign",
    "heaviside": "jnp.heaviside", "bitwise_left_shift": "jnp.left_shift", "__lshift__": "jnp.left_shift",
    "bitwise_right_shift": "jnp.right_shift", "__rshift__": "jnp.right_shift",
}  # fmt: skip
_ONE = {
    "abs": "jnp.abs", "exp": "jnp.exp", "expm1": "jnp.expm1", "log": "jnp.log", "log2": "jnp.log2",
    "log10": "jnp.log10",
    "log1p": "jnp.log1p", "sqrt": "jnp.sqrt", "rsqrt": "jax.lax.rsqrt", "square": "jnp.square", "sin": "jnp.sin",
    "cos": "jnp.cos", "tan": "jnp.tan", "asin": "jnp.arcsin", "acos": "jnp.arccos", "atan": "jnp.arctan",
    "sinh": "jnp.sinh", "cosh": "jnp.cosh", "asinh": "jnp.arcsinh", "acosh": "jnp.arccosh", "atanh": "jnp.arctanh",
    "erf": "jax.scipy.special.erf", "erfc": "jax.scipy.special.erfc", "erfinv": "jax.scipy.special.erfinv",
    "floor": "jnp.floor", "ceil": "jnp.ceil", "trunc": "jnp.trunc", "sign": "jnp.sign",
    "reciprocal": "jnp.reciprocal", "logical_not": "jnp.logical_not", "isnan": "jnp.isnan", "isinf": "jnp.isinf",
    "isfinite": "jnp.isfinite", "conj": "jnp.conj", "angle": "jnp.angle", "zeros_like": "jnp.zeros_like",
    "ones_like": "jnp.ones_like", "lgamma": "jax.scipy.special.gammaln", "exp2": "jnp.exp2",
    "absolute": "jnp.abs", "arcsin": "jnp.arcsin", "arccos": "jnp.arccos", "arctan": "jnp.arctan",
    "arcsinh": "jnp.arcsinh", "arccosh": "jnp.arccosh", "arctanh": "jnp.arctanh", "fix": "jnp.trunc",
    "sgn": "jnp.sign", "deg2rad": "jnp.deg2rad", "rad2deg": "jnp.rad2deg", "sinc": "jnp.sinc",
    "signbit": "jnp.signbit", "isneginf": "jnp.isneginf", "isposinf": "jnp.isposinf", "isreal": "jnp.isreal",
    "digamma": "jax.scipy.special.digamma", "i0": "jnp.i0", "conj_physical": "jnp.conj", "expit": "nnx.sigmoid",
}  # fmt: skip
# The same values: what only concerns memory, gradients or devices.
_SAME = (
    "contiguous", "clone", "detach", "requires_grad", "cpu", "cuda", "alias", "identity", "data", "view_as_self",
    "resolve_conj", "resolve_neg", "positive", "pin_memory", "__deepcopy__",
)  # fmt: skip
# Changes of dtype.
_CASTS = (
    "to", "type", "type_as", "float", "double", "half", "bfloat16", "int", "long", "short", "char", "byte", "bool",
    "cfloat", "cdouble",
)  # fmt: skip


def operator(symbol: str, reflected: bool = False) -> Handler:
    """What an operator between tensors, or a tensor and a number, becomes."""

    def handle(
        e: Emitter, a: Any, b: Any, *, alpha: Any = 1, rounding_mode: str | None = None, out: None = None
    ) -> Out:
        if symbol == "+" and isinstance(b, int) and b == 0 and "float" in a.dtype:
            return Out(e.array(a), e.order(a))  # as `sum` begins
        (left, right), order = e.aligned(a, b)
        if alpha != 1:
            right = operation("*", e.number(alpha), right)
        if reflected:
            left, right = right, left
        sign = symbol
        if rounding_mode == "floor":
            sign = "//"
        found = operation(sign, left, right)
        return Out(call("jnp.trunc", found) if rounding_mode == "trunc" else found, order)

    return handle


def _two(function: str) -> Handler:
    def handle(e: Emitter, a: Any, b: Any) -> Out:
        given, order = e.aligned(a, b)
        return Out(call(function, *given), order)

    return handle


def one(function: str) -> Handler:
    """What a function of one tensor becomes; arguments that concern memory or dtypes alone are left out."""

    def handle(e: Emitter, x: Value, *, inplace: bool = False, memory_format: Any = None, **more: Any) -> Out:
        if more.get("dtype") is not None:
            return Out(call(function, e.array(x), dtype=dtype(more["dtype"])), e.order(x))
        return Out(call(function, e.array(x)), e.order(x))

    return handle


def _same(e: Emitter, x: Value, *args: Any, **kwargs: Any) -> Out:
    return Out(e.array(x), e.order(x))


def _dropout(e: Emitter, x: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Out:
    if p:
        raise Untranslatable("dropout as a function", "use torch.nn.Dropout")
    return Out(e.array(x), e.order(x))


def _neg(e: Emitter, x: Value) -> Out:
    return Out(operation("-", e.array(x)), e.order(x))


def _not(e: Emitter, x: Value) -> Out:
    return Out(operation("~", e.array(x)), e.order(x))


def _clamp(e: Emitter, x: Value, min: Any = None, max: Any = None) -> Out:
    given, order = e.aligned(x, *(bound for bound in (min, max) if bound is not None))
    names = [word for word, bound in (("min", min), ("max", max)) if bound is not None]
    return Out(call("jnp.clip", given[0], **dict(zip(names, given[1:], strict=True))), order)


def _clamp_min(e: Emitter, x: Value, min: Any) -> Out:
    return _clamp(e, x, min=min)


def _clamp_max(e: Emitter, x: Value, max: Any) -> Out:
    return _clamp(e, x, max=max)


def _where(e: Emitter, condition: Value, a: Any = None, b: Any = None) -> Out:
    if a is None or b is None:
        raise Untranslatable("the shape of where(condition) depends on values", "give where three arguments")
    given, order = e.aligned(condition, a, b)
    return Out(call("jnp.where", *given), order)


def _masked_fill(e: Emitter, x: Value, mask: Value, value: Any) -> Out:
    given, order = e.aligned(x, mask, value)
    return Out(call("jnp.where", given[1], given[2], given[0]), order)


def _lerp(e: Emitter, a: Value, b: Value, weight: Any) -> Out:
    (start, end, part), order = e.aligned(a, b, weight)
    return Out(operation("+", start, operation("*", part, operation("-", end, start))), order)


def _addcmul(e: Emitter, x: Value, a: Value, b: Value, *, value: Any = 1) -> Out:
    (base, left, right), order = e.aligned(x, a, b)
    product = operation("*", left, right)
    return Out(operation("+", base, product if value == 1 else operation("*", value, product)), order)


def _to(e: Emitter, x: Value, *args: Any, **kwargs: Any) -> Out:
    """A change of dtype; devices are not the network's matter."""
    found = e.node.result.dtype  # type: ignore[union-attr]
    array = e.array(x)
    return Out(array if found == x.dtype else method(array, "astype", dtype(found)), e.order(x))


def _round(e: Emitter, x: Value, *, decimals: int = 0) -> Out:
    return Out(call("jnp.round", e.array(x), *([decimals] if decimals else [])), e.order(x))


def _frac(e: Emitter, x: Value) -> Out:
    return Out(operation("-", e.array(x), call("jnp.trunc", e.array(x))), e.order(x))


def _logit(e: Emitter, x: Value, eps: float | None = None) -> Out:
    array = e.array(x)
    inner = array if eps is None else call("jnp.clip", array, eps, 1 - eps)
    return Out(call("jax.scipy.special.logit", inner), e.order(x))


def _nan_to_num(
    e: Emitter, x: Value, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Out:
    given = {"nan": nan or None, "posinf": posinf, "neginf": neginf}
    named = {word: value for word, value in given.items() if value is not None}
    return Out(call("jnp.nan_to_num", e.array(x), **named), e.order(x))


def _isclose(e: Emitter, a: Value, b: Value, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Out:
    given, order = e.aligned(a, b)
    named = {} if (rtol, atol) == (1e-05, 1e-08) else {"rtol": rtol, "atol": atol}
    return Out(call("jnp.isclose", *given, **named, **({"equal_nan": True} if equal_nan else {})), order)


def _addcdiv(e: Emitter, x: Value, a: Value, b: Value, *, value: Any = 1) -> Out:
    (base, left, right), order = e.aligned(x, a, b)
    quotient = operation("/", left, right)
    return Out(operation("+", base, quotient if value == 1 else operation("*", value, quotient)), order)


def _fill_diagonal(e: Emitter, x: Value, value: Any, wrap: bool = False) -> Out:
    more = {"wrap": True} if wrap else {}
    return Out(call("jnp.fill_diagonal", e.array(x), e.number(value), **more, inplace=False), e.order(x))


def _attribute(word: str) -> Handler:
    def handle(e: Emitter, x: Value) -> Out:
        return Out(call(f"jnp.{word}", e.array(x)), e.order(x))

    return handle


def _fill(e: Emitter, x: Value, value: Any) -> Out:
    return Out(call("jnp.full_like", e.array(x), e.number(value)), e.order(x))


def _zero(e: Emitter, x: Value) -> Out:
    return Out(call("jnp.zeros_like", e.array(x)), e.order(x))


def _copy(e: Emitter, x: Value, source: Value, non_blocking: bool = False) -> Out:
    return (
        Out(call("jnp.broadcast_to", e.array(source, e.order(x)), x.shape), e.order(x))
        if (source.shape != x.shape)
        else Out(e.array(source), e.order(source))
    )


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{word: operator(symbol) for word, symbol in _SYMBOLS.items()},
    **{word: operator(symbol, reflected=True) for word, symbol in _REFLECTED.items()},
    **{word: _two(function) for word, function in _TWO.items()},
    **{word: one(function) for word, function in _ONE.items()},
    **dict.fromkeys(_SAME, _same),
    "dropout": _dropout,
    "neg": _neg,
    "negative": _neg,
    "__neg__": _neg,
    "__invert__": _not,
    "bitwise_not": _not,
    "clamp": _clamp,
    "clip": _clamp,
    "clamp_min": _clamp_min,
    "clamp_max": _clamp_max,
    "where": _where,
    "masked_fill": _masked_fill,
    "lerp": _lerp,
    "addcmul": _addcmul,
    "addcdiv": _addcdiv,
    "round": _round,
    "frac": _frac,
    "logit": _logit,
    "nan_to_num": _nan_to_num,
    "isclose": _isclose,
    "fill_diagonal": _fill_diagonal,
    **dict.fromkeys(_CASTS, _to),
    "real": _attribute("real"),
    "imag": _attribute("imag"),
    "fill": _fill,
    "zero": _zero,
    "copy": _copy,
}
