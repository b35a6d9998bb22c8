"""Functions that nnx has, by the names under which linen has them."""

import ast
import operator
from typing import Any

import jax
from flax import linen, nnx

from ..code import Expression, name
from ..emitting import Untranslatable

_HOMES = {"nn": linen, "jax.nn": jax.nn}


class Functions(ast.NodeTransformer):
    """Code of nnx, which it changes, with linen's functions."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """A function of nnx's."""
        words = ast.unparse(node)
        return linen_function(words.removeprefix("nnx.")) if words.startswith("nnx.") else self.generic_visit(node)


def linen_function(words: str) -> Expression:
    """The function that nnx has under this name."""
    for home, space in _HOMES.items():
        if _found(space, words) is _found(nnx, words):
            return name(f"{home}.{words}")
    raise Untranslatable(f"it uses nnx.{words}, which linen has not", "translate it to nnx")


def _found(space: Any, words: str) -> Any:
    try:
        return operator.attrgetter(words)(space)
    except AttributeError:
        return None
