"""What may be passed as an argument: names, ints, paddings, arrays, precisions. Errors say what was given and would do.

Of arrays only the type and the dtype are looked at; nothing is computed.
"""

import operator
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

IntOrInts: TypeAlias = int | Sequence[int]
Padding: TypeAlias = str | int | Sequence[int | tuple[int, int]]
DataFormat: TypeAlias = Literal["channels_last", "channels_first"]
Method: TypeAlias = Literal["lhs_dilation", "vjp", "subpixel", "col2im", "im2col", "taps", "fused", "matrix", "scatter"]

METHOD_NAMES: tuple[str, ...] = get_args(Method)

_PADDING_FORMS = 'an int, one int per spatial axis, one (low, high) pair per spatial axis, "SAME" or "VALID"'
_PADDING_ADVICE = {
    "CIRCULAR": "; wrap the input by m rows on each side with jnp.pad(x, ..., mode='wrap') and pass m * stride more "
    "padding",
    "CAUSAL": "; in 1-d, padding=((0, dilation * (kernel_size - 1) + 1 - stride),) crops the end and so is causal",
}
_DTYPES = ("float32", "float64", "bfloat16", "float16", "complex64", "complex128")


def check_name(argument: str, value: Any, known: Collection[str]) -> None:
    """ValueError unless `value` is one of the names `known`."""
    if value not in tuple(known):
        raise ValueError(f"{argument} must be one of {', '.join(map(repr, known))}; got {value!r}")


def check_method(method: Any) -> None:
    """ValueError unless `method` names one of the methods, or is None."""
    if method is not None:
        check_name("method", method, METHOD_NAMES)


def is_int(value: Any) -> bool:
    """Whether `value` is an integer of any library, bools excepted (to Python a bool is one, but no size is)."""
    if type(value).__name__ in ("bool", "bool_"):
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def integer(name: str, value: Any, least: int) -> int:
    """`value` as an int; TypeError if it is not one, ValueError if it is below `least`."""
    if not is_int(value):
        raise TypeError(f"{name} must be an int, got {value!r} ({type(value).__name__})")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return operator.index(value)


def listed(name: str, value: Any) -> list[Any]:
    """`value` as a list, where it is a sequence of any kind; TypeError where it is not one."""
    try:
        if isinstance(value, str | bytes | Mapping | set):
            raise TypeError
        return list(value)
    except TypeError:
        raise _no_ints(name, value) from None


def _no_ints(name: str, value: Any) -> TypeError:
    traced = "Tracer" in f"{value!r} {type(value).__name__}"
    advice = "; it must be known when tracing: under jit, make it static (static_argnames)" if traced else ""
    got = f"{value!r} ({type(value).__name__})"
    return TypeError(f"{name} must be an int or one int per spatial axis, got {got}{advice}")


def per_axis(name: str, value: Any, n_axes: int, least: int | None = None) -> tuple[int, ...]:
    """`value` as one int per spatial axis; TypeError, or ValueError for the wrong number or an int below `least`."""
    values = [value] * n_axes if is_int(value) else listed(name, value)
    if len(values) != n_axes:
        raise ValueError(f"{name} must be an int or {n_axes} ints, one per spatial axis; got {len(values)}: {value!r}")
    if not all(map(is_int, values)):
        raise _no_ints(name, value)
    if least is not None and min(values) < least:
        raise ValueError(f"{name} must be at least {least} on every spatial axis, got {value!r}")
    return tuple(map(operator.index, values))


def padding_pairs(padding: Any, n_axes: int) -> str | tuple[tuple[int, int], ...]:
    """`padding` as one (low, high) pair per spatial axis, or its name; TypeError or ValueError where it is neither."""
    if isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            raise ValueError(f"padding must be {_PADDING_FORMS}; got {padding!r}{_PADDING_ADVICE.get(padding, '')}")
        return padding
    values = [padding] * n_axes if is_int(padding) else listed("padding", padding)
    if len(values) != n_axes:
        hint = f"; a (low, high) pair for the one spatial axis is ({padding!r},)" if n_axes == 1 else ""
        raise ValueError(f"padding must be {_PADDING_FORMS}; got {len(values)} values for {n_axes}: {padding!r}{hint}")
    return tuple(_padding_pair(padding, value) for value in values)


def _padding_pair(padding: Any, value: Any) -> tuple[int, int]:
    if is_int(value):
        if value < 0:
            raise ValueError(
                f"padding must not be negative in its int form, got {padding!r}; in a (low, high) pair it may be, "
                "and then extends the output"
            )
        return operator.index(value), operator.index(value)
    if isinstance(value, Iterable) and len(pair := list(value)) == 2 and all(map(is_int, pair)):
        return operator.index(pair[0]), operator.index(pair[1])
    raise TypeError(f"padding must be {_PADDING_FORMS}; got {padding!r}")


def float_array(name: str, value: Any) -> jax.Array:
    """`value` as a jax.Array; TypeError unless it is an array of a supported dtype."""
    if not isinstance(value, jax.Array) and callable(getattr(value, "__jax_array__", None)):  # a Flax variable
        value = value.__jax_array__()
    if not isinstance(value, jax.Array | np.ndarray):
        advice = "; convert it with jnp.asarray" if isinstance(value, list | tuple) else ""
        if type(value).__module__.partition(".")[0] == "torch":
            of_kernel = "jax_tconv.interop.kernel_from_torch(weight)"
            advice = f"; convert it with {of_kernel if name == 'kernel' else 'tensor.detach().cpu().numpy()'}"
        raise TypeError(f"{name} must be a JAX or NumPy array, got {_described(value)}{advice}")
    if value.dtype.name not in _DTYPES:
        raise TypeError(f"{name} must be of dtype {', '.join(_DTYPES)}; got {value.dtype.name}, cast it first")
    return jnp.asarray(value)


def _described(value: Any) -> str:
    if value is None:
        return "None"
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def result_dtype(operands: Sequence[jax.Array], preferred_element_type: DTypeLike | None) -> np.dtype:
    """The operands' promoted dtype, or the preferred one; TypeError if that cannot be computed in."""
    promoted = jnp.result_type(*operands)
    if preferred_element_type is None:
        return promoted
    try:
        preferred = jnp.dtype(preferred_element_type)
    except TypeError:
        preferred = None
    if preferred is None or preferred.name not in _DTYPES:
        raise TypeError(f"preferred_element_type must be one of {', '.join(_DTYPES)}; got {preferred_element_type!r}")
    if jnp.issubdtype(preferred, jnp.complexfloating) != jnp.issubdtype(promoted, jnp.complexfloating):
        raise TypeError(
            f"preferred_element_type must be {'real' if preferred.kind == 'c' else 'complex'} as the operands are, "
            f"which promote to {promoted.name}; got {preferred.name}"
        )
    return jax.dtypes.canonicalize_dtype(preferred)


def canonical_precision(precision: Any) -> Any:
    """`precision` as lax takes it and hashes it: a pair of `lax.Precision`, or None for the backend's default.

    None means what `jax.default_matmul_precision` says here and now: when a program is lowered, its context is over.
    """
    if precision is None:
        precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
        return precision if precision is None else _precision_pair(precision) or precision
    pair = _precision_pair(precision)
    if pair is None:
        raise ValueError(
            "precision must be None, a jax.lax.Precision or its name ('default', 'high', 'highest', 'bfloat16', "
            f"'tensorfloat32', 'float32'), or a pair of these, one per operand; got {precision!r}"
        )
    return pair


def _precision_pair(precision: Any) -> tuple[lax.Precision, lax.Precision] | None:
    pair = precision if isinstance(precision, tuple | list) else (precision, precision)
    try:
        first, second = (lax.Precision(p) for p in pair)
    except (ValueError, TypeError):
        return None
    return first, second
