"""This library, with the method it chooses or with a named one."""

import functools
from typing import Any, get_args

from jax_tconv import Method, Op, conv_transpose, select_method

from ..layers import Arrays, Layer
from . import jax_program
from .contestant import Contestant, NotApplicable, Prepared
from .layout import Layout

# What the command line calls method=None.
CHOSEN = "None"
NAMES: tuple[str, ...] = (CHOSEN, *get_args(Method))


def contestants(methods: list[str]) -> list[Contestant]:
    """One for each method; "None" leaves the choice to the library."""
    names = {method: "ours" if method == CHOSEN else f"ours {method}" for method in methods}
    return [Contestant(names[method], "ours", functools.partial(_prepare, method)) for method in methods]


def chosen(layer: Layer, mode: str) -> dict[str, str]:
    """The method chosen for each op that the mode computes."""
    x, kernel, _ = layer.shapes
    ops = get_args(Op) if mode == "training" else ("forward",)
    return {op: select_method(x, kernel, **layer.arguments, op=op).method for op in ops}


def _prepare(name: str, layer: Layer, mode: str, arrays: Arrays) -> Prepared:
    method: Any = None if name == CHOSEN else name
    function = functools.partial(conv_transpose, **layer.arguments, method=method)
    try:
        return jax_program.prepare(function, layer, mode, arrays, Layout())
    except NotImplementedError as error:
        raise NotApplicable(str(error)) from error
