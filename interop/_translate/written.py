"""Layers and functions as source: the calls that make them, and the names under which they are imported."""

import ast
from typing import Any

from .._from_torch.made import RNGS, Apply, Make
from .._from_torch.spelling import defaults, public_name, shortened
from .code import Expression, call, literal, name

# By the modules that they are imported from, what stands before the names.
_PREFIXES = {
    "flax.nnx": "nnx.",
    "jax_tconv.nnx": "",
    "jax_tconv.functional": "functional.",
    "jax.nn": "jax.nn.",
    "jax.numpy": "jnp.",
}


def written(twin: Make | Apply) -> Expression:
    """The call as source, with every argument: those that Flax assumes anyway are left out where it is printed."""
    function = name_of(twin.function)
    given, named = shortened(twin)
    if isinstance(twin, Apply):
        return call("partial", function, **named) if named else function
    words = [word for word in defaults(twin.function) if word != "self"]
    args = [_argument(word, value) for word, value in zip([*words, *[""] * len(given)], given, strict=False)]
    return call(function, *args, **{word: _argument(word, value) for word, value in named.items()})


def name_of(function: Any) -> Expression:
    """A class or function by the name under which the source has it."""
    module, word = public_name(function)
    return name(_PREFIXES[module] + word)


def _argument(word: str, value: Any) -> Expression:
    """The value of an argument; a constant remembers its argument, by which it is called if it turns out to vary."""
    if isinstance(value, Make | Apply):
        return written(value)
    if value is RNGS:
        return name("rngs")
    if word == "param_dtype":
        return name(f"jnp.{value}")
    if word == "kernel_size" and isinstance(value, int):
        value = (value,)
    found = literal(tuple(value) if isinstance(value, list) else value)
    if isinstance(found, ast.Constant):
        found.role = word  # type: ignore[attr-defined]
    return found
