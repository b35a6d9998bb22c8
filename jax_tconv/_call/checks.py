"""What may go into the op: arrays and dtypes, names, precisions. Errors say what was given and what would do."""

from collections.abc import Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jax_tconv._call.arguments import is_int, listed
from jax_tconv._methods import METHODS

_DTYPES = ("float32", "float64", "bfloat16", "float16", "complex64", "complex128")


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
    """The operands' promoted dtype, or the preferred one; TypeError if that is no dtype to compute in."""
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


def check_name(argument: str, value: Any, known: Collection[str]) -> None:
    """ValueError unless `value` is one of the names `known`."""
    if value not in tuple(known):
        raise ValueError(f"{argument} must be one of {', '.join(map(repr, known))}; got {value!r}")


def check_method(method: Any) -> None:
    """ValueError unless `method` names one of the methods, or is None."""
    if method is not None:
        check_name("method", method, METHODS)


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
            f"'tensorfloat32', 'float32'), or a pair of these, one an operand; got {precision!r}"
        )
    return pair


def _precision_pair(precision: Any) -> tuple[lax.Precision, lax.Precision] | None:
    pair = precision if isinstance(precision, tuple | list) else (precision, precision)
    try:
        first, second = (lax.Precision(p) for p in pair)
    except (ValueError, TypeError):
        return None
    return first, second


def check_ranks(x_shape: Sequence[Any], kernel_shape: Sequence[int]) -> int:
    """The number of spatial axes; ValueError if the kernel has none, or x has fewer than the kernel."""
    n_axes = len(kernel_shape) - 2
    if n_axes < 1:
        raise ValueError(
            "kernel must have shape (*kernel_size, in, out // groups) with at least one spatial axis, "
            f"got {tuple(kernel_shape)}"
        )
    if len(x_shape) < n_axes + 1:
        raise ValueError(
            f"x must have {n_axes} spatial axes, as the kernel of shape {tuple(kernel_shape)} has, and a channel axis; "
            f"got shape {tuple(x_shape)}"
        )
    return n_axes


def check_channels(x_shape: Sequence[Any], channel_axis: int, kernel_shape: Sequence[int], groups: int) -> None:
    """ValueError unless the channels of x are those that the kernel takes, and split into `groups`."""
    channels, (c_in, c_out) = x_shape[channel_axis], kernel_shape[-2:]
    if channels != c_in:
        other = "channels_last" if channel_axis != -1 else "channels_first"
        other_axis = -1 if channel_axis != -1 else 1 - len(kernel_shape)
        hint = f'; data_format="{other}" would take it' if x_shape[other_axis] == c_in else ""
        if channels == c_in * groups:
            hint += "; in, on the kernel's axis -2, counts the channels of all groups"
        if kernel_shape[0] in (channels, x_shape[other_axis]):
            hint += "; a PyTorch weight becomes a kernel by jax_tconv.interop.kernel_from_torch"
        raise ValueError(
            f"x of shape {tuple(x_shape)} has {channels} channels (axis {channel_axis}), but the kernel takes {c_in}: "
            f"its shape is (*kernel_size, in, out // groups) = {tuple(kernel_shape)}{hint}"
        )
    if not c_in or not c_out:
        raise ValueError(f"kernel must have at least one channel in and out, got shape {tuple(kernel_shape)}")
    if c_in % groups:
        raise ValueError(f"groups must divide the {c_in} input channels, got {groups}")


def spatial_part(output_size: Any, x_rank: int, n_axes: int, channel_axis: int) -> Any:
    """The spatial entries of `output_size`, where it is a full shape of x's rank; as it is, where it is not."""
    if output_size is None or is_int(output_size):
        return output_size
    values = tuple(listed("output_size", output_size))
    if len(values) != x_rank:
        return values
    return values[-n_axes:] if channel_axis != -1 else values[-n_axes - 1 : -1]
