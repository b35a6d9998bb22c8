"""What makes the parts of a class, in linen's terms."""

import ast
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..classes import Class
from ..code import Expression, attribute, call, copied, literal, name, replaced
from ..construction import repeated
from .functions import Functions
from .layers import LAYERS, make_layer
from .sharing import Sharing

if TYPE_CHECKING:
    from .classes import LinenClass

# How many arguments are given without their names.
_POSITIONAL = 2


class Making(Functions):
    """The expressions that make the parts of a class.

    Args:
      cls: the class.
      arguments: what it calls its arguments.
      train: what is true in training.
      find: the class of linen that a class is there.
      sharing: what classes are given.
    """

    def __init__(
        self,
        cls: Class,
        arguments: Mapping[str, Expression],
        train: Expression,
        find: Callable[[Class], "LinenClass"],
        sharing: Sharing,
    ) -> None:
        self._cls, self._arguments, self._train, self._find, self._sharing = cls, arguments, train, find, sharing

    def attribute(self, word: str, tree: Expression) -> Expression:
        """What makes this attribute."""
        match tree:
            case ast.Call(ast.Attribute(ast.Name("nnx"), "Param"), [made]):
                return self._parameter(word, made)
            case ast.Call(ast.Attribute(ast.Name("nnx"), "BatchStat"), [made]):
                return self._buffer(word, made)
        return self.part(tree)

    def part(self, tree: Expression) -> Expression:
        """What makes a part."""
        made: Expression = self.visit(copied(tree))
        return made

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """An argument."""
        return self._arguments.get(node.id, node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """What makes a layer, a list, or an object of another class."""
        if hasattr(node.func, "cls"):
            return self._object(node, node.func.cls)
        keywords = {str(keyword.arg): self.visit(keyword.value) for keyword in node.keywords}
        args = [self.visit(arg) for arg in node.args]
        function = ast.unparse(node.func)
        if function in LAYERS:
            return make_layer(function, args, keywords, self._train, self._axes(node))
        if function == "nnx.List":
            return repeated(args[0].elts) if isinstance(args[0], ast.List) else args[0]
        if function == "nnx.Dict":
            return args[0] if args else literal(keywords)
        if function == "nnx.Sequential":
            return call("nn.Sequential", repeated(args or [name("jax.nn.identity")]))
        return call(self.visit(node.func), *args, **keywords)

    def _object(self, node: ast.Call, cls: Class) -> ast.Call:
        linen = self._find(cls)
        given = dict(zip(cls.arguments, node.args, strict=False))
        given |= {str(keyword.arg): keyword.value for keyword in node.keywords}
        arguments = {word: given[linen.words[word]] for word in linen.arguments}
        first = [self.visit(arguments.pop(word)) for word in list(arguments)[:_POSITIONAL]]
        arguments |= {word: given.get(word) or self._sharing.default(cls, word, node) for word in linen.fields}
        keywords = {word: self.visit(value) for word, value in arguments.items()}
        function = ast.Name(linen.name, ast.Load())
        function.cls = linen  # type: ignore[attr-defined]
        return call(function, *first, **keywords, **({"train": self._train} if linen.train else {}))

    def _axes(self, node: ast.Call) -> int:
        """Over how many axes a layer normalizes."""
        shape = node.args[0] if node.args else None
        if isinstance(shape, ast.Name) and shape.id in self._cls.arguments:
            shape = literal(self._cls.arguments[shape.id][0])
        return len(shape.value) if isinstance(shape, ast.Constant) and isinstance(shape.value, tuple) else 1

    def _parameter(self, word: str, made: Expression) -> Expression:
        match made:
            case ast.Call(ast.Attribute(ast.Name("jnp"), "ones" | "zeros" as kind), shape, keywords):
                init: Expression = name(f"nn.initializers.{kind}")
            case ast.Call(ast.Attribute(ast.Name("jnp"), "full"), [*shape, value], keywords):
                init = call("nn.initializers.constant", self.part(value))
            case ast.Call(ast.Call() as init, [_, *shape], keywords):
                init = self.part(init)
            case _:
                return call("self.param", word, _function(["key"], self.part(_with_key(made))))
        return call("self.param", word, init, *self._given(shape, keywords))

    def _buffer(self, word: str, made: Expression) -> Expression:
        """A variable that is filled by a checkpoint and is not trained, as BatchNorm's are."""
        match made:
            case ast.Call(ast.Attribute(ast.Name("jnp")) as init, args, keywords) if {*_words(keywords)} <= {"dtype"}:
                given = [init, *self._given(args, keywords)]
            case _:
                given = [_function([], self.part(made))]
        return attribute(call("self.variable", "batch_stats", word, *given), "value")

    def _given(self, args: list[Expression], keywords: list[ast.keyword]) -> list[Expression]:
        """Arguments of what gives an initial value: its shape, perhaps a number, and its dtype."""
        return [self.part(arg) for arg in (*args, *(keyword.value for keyword in keywords))]


def _words(keywords: list[ast.keyword]) -> list[str | None]:
    return [keyword.arg for keyword in keywords]


def _function(arguments: list[str], result: Expression) -> Expression:
    return ast.Lambda(ast.arguments([], [ast.arg(word) for word in arguments], None, [], [], None, []), result)


def _with_key(made: Expression) -> Any:
    """The expression with a key where nnx draws one."""
    return replaced(made, {"rngs": name("key")})
