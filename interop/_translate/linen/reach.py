"""What an expression in a method leads to: the class, or the call that makes it."""

import ast
from collections.abc import Sequence
from typing import Any

from ..classes import Class
from ..code import Expression
from ..emitting import Line, Loop


class Reach:
    """The parts of a class, found by the expressions that lead to them from `self` or from the variables of a loop."""

    def __init__(self, cls: Class) -> None:
        self._cls = cls
        self._variables: dict[str, Expression] = {}
        self._links = {ast.unparse(other): first for other, first in cls.links}

    def enter(self, line: Line) -> None:
        """From here on, variables are those of the line's loop."""
        self._variables = {} if line.loop is None else _first_turn(line.loop)

    def find(self, expression: ast.AST) -> Class | Expression | None:
        """What the expression leads to; None if it is no part of the class."""
        linked = self._links.get(ast.unparse(expression))
        if linked is not None:
            return self.find(linked)
        match expression:
            case ast.Name("self"):
                return self._cls
            case ast.Name(word) if word in self._variables:
                return self.find(self._variables[word])
            case ast.Attribute(holder, word) | ast.Call(ast.Name("getattr"), [holder, ast.Constant(word)]):
                return _made(_attribute(self.find(holder), str(word)))
            case ast.Subscript(holder, index):
                return _made(_item(self.find(holder), self._index(index)))
        return None

    def _index(self, index: Expression) -> Any:
        """A number or a key; within a loop, the number of its first turn."""
        match index:
            case ast.Name(word) if word in self._variables:
                return self._index(self._variables[word])
            case ast.BinOp(left, ast.Add(), right):
                return self._index(left) + self._index(right)
            case ast.Constant(value):
                return value
        return None


def _made(tree: Expression | None) -> Class | Expression | None:
    """The class whose call this is, or the call itself."""
    return getattr(tree.func, "cls", tree) if isinstance(tree, ast.Call) else tree


def _attribute(holder: Class | Expression | None, word: str) -> Expression | None:
    if isinstance(holder, Class):
        if holder.items is not None:
            return _list(holder.items) if word == "layers" else None
        return dict(holder.attributes).get(word)
    if word == "layers" and isinstance(holder, ast.Call) and ast.unparse(holder.func) == "nnx.Sequential":
        return _list(holder.args)
    return None


def _list(items: Sequence[Expression]) -> Expression:
    return ast.List(list(items), ast.Load())


def _item(holder: Class | Expression | None, index: Any) -> Expression | None:
    match holder:
        case ast.Call(ast.Attribute(ast.Name("nnx"), "List"), [items]):
            return _item(items, index)
        case ast.Call(ast.Attribute(ast.Name("nnx"), "Dict"), [], keywords):
            return next((keyword.value for keyword in keywords if keyword.arg == index), None)
        case ast.Call(ast.Attribute(ast.Name("nnx"), "Dict"), [items]):
            return _item(items, index)
        case ast.Dict(keys, items):
            return next((item for key, item in zip(keys, items, strict=True) if _key(key) == index), None)
        case ast.ListComp(item):
            return item
        case ast.List(items):
            return items[index] if isinstance(index, int) else None
    return None


def _first_turn(loop: Loop) -> dict[str, Expression]:
    """The variables of a loop over lists or numbers, as they are in its first turn; others do the same."""
    source, words = ast.parse(loop.source, mode="eval").body, loop.variables.split(", ")
    match source:
        case ast.Call(ast.Name("range"), bounds):
            return {words[0]: bounds[0] if len(bounds) > 1 else ast.Constant(0)}
        case ast.Call(ast.Name("zip"), lists):
            pass
        case _:
            lists = [source]
    return {word: ast.Subscript(one, ast.Constant(0), ast.Load()) for word, one in zip(words, lists, strict=True)}


def _key(key: Expression | None) -> Any:
    return key.value if isinstance(key, ast.Constant) else None
