"""Python expressions as syntax trees: made from what they are of, and told apart from one another."""

import ast
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

Expression: TypeAlias = ast.expr


def name(words: str) -> Expression:
    """A name, with dots: `jnp.mean`."""
    first, *others = words.split(".")
    found: Expression = ast.Name(first, ast.Load())
    for other in others:
        found = ast.Attribute(found, other, ast.Load())
    return found


def literal(value: Any) -> Expression:
    """A Python value as it is written; expressions, also within tuples, lists and dicts, stay what they are."""
    if isinstance(value, ast.expr):
        return value
    if isinstance(value, np.generic):
        return literal(value.item())
    if isinstance(value, tuple | list) and any(not _is_constant(item) for item in value):
        kind = ast.Tuple if isinstance(value, tuple) else ast.List
        return kind([literal(item) for item in value], ast.Load())
    if isinstance(value, tuple):
        return ast.Constant(tuple(value))  # type: ignore[arg-type]  # which it prints as it should
    if isinstance(value, list):
        return ast.List([literal(item) for item in value], ast.Load())
    if isinstance(value, dict):
        return ast.Dict([literal(key) for key in value], [literal(item) for item in value.values()])
    if isinstance(value, float) and not math.isfinite(value):
        words = "jnp.nan" if math.isnan(value) else "jnp.inf"
        return ast.UnaryOp(ast.USub(), name(words)) if value == -math.inf else name(words)
    if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    if value is None or isinstance(value, bool | int | float | complex | str | bytes) or value is Ellipsis:
        return ast.Constant(value)
    raise TypeError(f"no literal for a {type(value).__name__}")


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return isinstance(value, int | float | str | None) and not (isinstance(value, float) and not math.isfinite(value))


def call(function: str | Expression, *args: Any, **kwargs: Any) -> ast.Call:
    """A call; arguments that are no expressions are written as literals."""
    return ast.Call(
        name(function) if isinstance(function, str) else function,
        [literal(arg) for arg in args],
        [ast.keyword(key, literal(value)) for key, value in kwargs.items()],
    )


def method(array: Expression, function: str, *args: Any, **kwargs: Any) -> ast.Call:
    """A call of a method."""
    return call(ast.Attribute(array, function, ast.Load()), *args, **kwargs)


_OPERATORS: Mapping[str, type[ast.operator]] = {
    "+": ast.Add,
    "-": ast.Sub,
    "*": ast.Mult,
    "/": ast.Div,
    "//": ast.FloorDiv,
    "%": ast.Mod,
    "**": ast.Pow,
    "@": ast.MatMult,
    "&": ast.BitAnd,
    "|": ast.BitOr,
    "^": ast.BitXor,
}
_COMPARISONS: Mapping[str, type[ast.cmpop]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
}


def operation(symbol: str, *operands: Any) -> Expression:
    """An operator or a comparison between two operands, or before one."""
    given = [literal(operand) for operand in operands]
    if len(given) == 1:
        return ast.UnaryOp({"-": ast.USub(), "~": ast.Invert(), "not": ast.Not()}[symbol], given[0])
    if symbol in _COMPARISONS:
        return ast.Compare(given[0], [_COMPARISONS[symbol]()], [given[1]])
    return ast.BinOp(given[0], _OPERATORS[symbol](), given[1])


def attribute(holder: Expression, word: str) -> Expression:
    """An attribute of what an expression gives."""
    return ast.Attribute(holder, word, ast.Load())


def subscript(array: Expression, index: Any) -> Expression:
    """`array[index]`, where the index may be a tuple with slices."""
    return ast.Subscript(array, _index(index), ast.Load())


def _index(index: Any) -> Expression:
    if isinstance(index, slice):
        parts = [None if part is None else literal(part) for part in (index.start, index.stop, index.step)]
        return ast.Slice(*parts)
    if isinstance(index, tuple) and index:
        return ast.Tuple([_index(item) for item in index], ast.Load())
    return literal(index)


def same(a: ast.AST, b: ast.AST) -> bool:
    """Whether two pieces of code are the same."""
    return ast.dump(a) == ast.dump(b)


def replaced(tree: Any, replacements: Mapping[str, Expression]) -> Any:
    """The code with other expressions in the place of these names."""

    class Replacing(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return replacements.get(node.id, node)

    return Replacing().visit(copied(tree))


def copied(tree: Any) -> Any:
    """A copy of a tree, all the way down, that shares its constants, the role of each, and the classes it names."""
    if isinstance(tree, ast.AST):
        new = type(tree)(**{field: copied(value) for field, value in ast.iter_fields(tree)})
        for mark in ("role", "cls"):
            if hasattr(tree, mark):
                setattr(new, mark, getattr(tree, mark))
        return new
    return [copied(item) for item in tree] if isinstance(tree, list) else tree


def names(tree: ast.AST) -> list[str]:
    """The names that occur in a piece of code, as often as they do."""
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
