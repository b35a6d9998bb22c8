"""Calls as a person would write them: without what Flax assumes anyway, and with one number where all are the same."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import jax_tconv.nnx
from jax_tconv import functional

from .made import Make, Twin

# Both of these take one int for all axes, in these arguments; one for kernel_size would mean a kernel of one axis.
_WINDOWS = (nnx.Conv, jax_tconv.nnx.ConvTranspose)
_FOR_ALL_AXES = ("strides", "padding", "kernel_dilation", "output_padding")
# Where users import from, in the order of preference.
_PUBLIC = (nnx, jax_tconv.nnx, functional, jax.nn, jnp)


def shown(twin: Twin) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and the keyword arguments that a call is written with, which may hold other calls and `RNGS`."""
    args, kwargs = shortened(twin)
    known = defaults(twin.function)
    return args, {name: value for name, value in kwargs.items() if name not in known or value != known[name]}


def shortened(twin: Twin) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same with what Flax assumes anyway."""
    kwargs = dict(twin.kwargs)
    if twin.function in _WINDOWS:
        kwargs |= {name: _short(kwargs[name]) for name in _FOR_ALL_AXES if name in kwargs}
    return twin.args if isinstance(twin, Make) else (), kwargs


def public_name(function: Any) -> tuple[str, str]:
    """The module from which users import a class or a function, and its name there: `("flax.nnx", "relu")`."""
    name = function.__name__
    for module in _PUBLIC:
        if getattr(module, name, None) is function:
            return module.__name__, name
    raise LookupError(f"{name} of {function.__module__} is not public")


def _short(value: Any) -> Any:
    """`(2, 2)` as 2 and `((1, 1), (0, 0))` as (1, 0); what has no such form as it is."""
    if not isinstance(value, tuple):
        return value
    axes = tuple(axis[0] if isinstance(axis, tuple) and axis[0] == axis[1] else axis for axis in value)
    if not all(isinstance(axis, int) for axis in axes):
        return value
    return axes[0] if len({*axes}) == 1 else axes


def defaults(function: Any) -> dict[str, Any]:
    """The parameters of a function or of a class by name, with their defaults."""
    constructors = [vars(cls)["__init__"] for cls in getattr(function, "__mro__", ()) if "__init__" in vars(cls)]
    found: dict[str, Any] = {}
    for called in constructors or [function]:
        parameters = inspect.signature(called).parameters.values()
        found = {each.name: each.default for each in parameters} | found
        # A constructor with **arguments hands them to the next.
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            break
    return found
