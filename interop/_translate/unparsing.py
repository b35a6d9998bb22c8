"""Expressions as source, without arguments that are Flax's defaults."""

import ast
import functools
import inspect
import textwrap
from typing import Any

from flax import linen, nnx

import jax_tconv.nnx

from .code import Expression, copied

_LONGEST_TEXT = 80
# Where layers are, by the name before theirs.
_HOMES = {"": jax_tconv.nnx, "nnx": nnx, "nn": linen}


def unparse(tree: Expression) -> str:
    """An expression as source, without arguments that are Flax's defaults."""
    return ast.unparse(ast.fix_missing_locations(_Plainer().visit(copied(tree))))


class _Plainer(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A class by its name, which is known last."""
        return ast.Name(node.cls.name, ast.Load()) if hasattr(node, "cls") else node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """A long text in several pieces, as no formatter breaks it."""
        if not isinstance(node.value, str) or len(node.value) <= _LONGEST_TEXT:
            return node
        pieces = textwrap.wrap(node.value, _LONGEST_TEXT, drop_whitespace=False)
        return ast.Name("(" + " ".join(map(repr, pieces)) + ")", ast.Load())

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        defaults = _defaults(ast.unparse(node.func))
        node.keywords = [
            keyword
            for keyword in node.keywords
            if not (isinstance(keyword.value, ast.Constant) and _is_default(defaults, keyword))
        ]
        return node


def _is_default(defaults: dict[str, Any], keyword: ast.keyword) -> bool:
    if keyword.arg not in defaults:
        return False
    assert isinstance(keyword.value, ast.Constant)
    default, value = defaults[keyword.arg], keyword.value.value
    return type(default) is type(value) and default == value


@functools.cache
def _defaults(function: str) -> dict[str, Any]:
    """The defaults of a Flax class by its name in the source."""
    home, _, word = function.rpartition(".")
    cls = getattr(_HOMES.get(home), word, None)
    if not isinstance(cls, type):
        return {}
    constructor: Any = vars(cls).get("__init__", cls)
    return {word: one.default for word, one in inspect.signature(constructor).parameters.items()}
