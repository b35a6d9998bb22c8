"""The forms an argument may take: an int, one int a spatial axis, a padding; the errors name it and what it got."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

IntOrInts: TypeAlias = int | Sequence[int]
Padding: TypeAlias = str | int | Sequence[int | tuple[int, int]]

_PADDING_FORMS = 'an int, one int a spatial axis, one (low, high) pair a spatial axis, "SAME" or "VALID"'
_PADDING_ADVICE = {
    "CIRCULAR": "; wrap the input by m rows a side with jnp.pad(x, ..., mode='wrap') and pass m * stride more padding",
    "CAUSAL": "; in 1-d, padding=((0, dilation * (kernel_size - 1) + 1 - stride),) crops the end and so is causal",
}


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
    """`value` as an int; TypeError if it is none, ValueError if it is below `least`."""
    if not is_int(value):
        raise TypeError(f"{name} must be an int, got {value!r} ({type(value).__name__})")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return operator.index(value)


def listed(name: str, value: Any) -> list[Any]:
    """`value` as a list, where it is a sequence of any kind; TypeError where it is none."""
    try:
        if isinstance(value, str | bytes | Mapping | set):
            raise TypeError
        return list(value)
    except TypeError:
        raise _no_ints(name, value) from None


def _no_ints(name: str, value: Any) -> TypeError:
    traced = "Tracer" in f"{value!r} {type(value).__name__}"
    advice = "; it must be known when tracing: under jit, make it static (static_argnames)" if traced else ""
    return TypeError(f"{name} must be an int or one int a spatial axis, got {value!r} ({type(value).__name__}){advice}")


def per_axis(name: str, value: Any, n_axes: int, least: int | None = None) -> tuple[int, ...]:
    """`value` as one int a spatial axis; TypeError, or ValueError for the wrong number of ints or one below `least`."""
    values = [value] * n_axes if is_int(value) else listed(name, value)
    if len(values) != n_axes:
        raise ValueError(f"{name} must be an int or {n_axes} ints, one a spatial axis; got {len(values)}: {value!r}")
    if not all(map(is_int, values)):
        raise _no_ints(name, value)
    if least is not None and min(values) < least:
        raise ValueError(f"{name} must be at least {least} on every spatial axis, got {value!r}")
    return tuple(map(operator.index, values))


def padding_pairs(padding: Any, n_axes: int) -> str | tuple[tuple[int, int], ...]:
    """`padding` as one (low, high) pair a spatial axis, or its name; TypeError or ValueError where it is neither."""
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
