"""What the method of a class computes, in linen's terms."""

import ast
from collections.abc import Mapping

from ..classes import Class
from ..code import Expression, call, copied, subscript
from ..emitting import Line, Untranslatable
from .functions import Functions
from .layers import LAYERS
from .reach import Reach

_ARRAYS = ("nnx.Param", "nnx.BatchStat")


class Computing(Functions):
    """The expressions of a method.

    Args:
      cls: the class.
      arguments: what it calls those of its arguments that the method needs.
    """

    def __init__(self, cls: Class, arguments: Mapping[str, Expression]) -> None:
        self._arguments = {f"self.{word}": arguments[word] for word in cls.kept}
        self._reach = Reach(cls)

    def line(self, line: Line) -> Expression:
        """What a line computes."""
        self._reach.enter(line)
        return self.result(line.expression)

    def result(self, tree: Expression) -> Expression:
        """What an expression outside all loops computes, or within that of the last line."""
        made: Expression = self.visit(copied(tree))
        return made

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """An argument, a function, or a part of a module."""
        if ast.unparse(node) in self._arguments:
            return self._arguments[ast.unparse(node)]
        layer = _called(self._reach.find(node.value))
        if layer == "nnx.MultiHeadAttention":
            raise Untranslatable(
                "it adds numbers to the scores of its attention, which linen's does not take",
                "give it a mask of booleans, or translate it to nnx",
            )
        if layer in LAYERS and node.attr not in LAYERS[layer].parts:
            kind = layer.removeprefix("nnx.")
            raise Untranslatable(
                f"it uses the {node.attr} of a {kind}, which linen has only while that is called",
                "give the module a parameter of its own, or translate it to nnx",
            )
        return super().visit_Attribute(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """The value of a parameter or a buffer, which linen has as an array."""
        if isinstance(node.slice, ast.Constant) and node.slice.value is Ellipsis:
            part = node.value
            holder = _called(self._reach.find(part.value)) if isinstance(part, ast.Attribute) else ""
            if holder in LAYERS or _called(self._reach.find(part)) in _ARRAYS:
                return self.visit(part)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call; attention that is causal takes a mask."""
        if _called(self._reach.find(node.func)) != "nnx.MultiHeadAttention":
            return self.generic_visit(node)
        words = [keyword.arg for keyword in node.keywords]
        self.generic_visit(node)
        if "is_causal" in words:
            mask = call("nn.make_causal_mask", subscript(node.args[0], (Ellipsis, 0)))
            node.keywords[words.index("is_causal")] = ast.keyword("mask", mask)
        return node


def _called(part: Class | Expression | None) -> str:
    """nnx's name for what a call makes."""
    return ast.unparse(part.func) if isinstance(part, ast.Call) else ""
