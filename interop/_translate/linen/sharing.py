"""Modules that stand at several places: where nnx puts one into another, linen gives it to the other as a field."""

import ast
from collections.abc import Sequence

from ..classes import Class
from ..code import Expression, copied, replaced
from ..emitting import Untranslatable
from .reach import Reach
from .unused import Unused


class Sharing:
    """How the parts of classes are made if what stands at several places is given to the later ones.

    Attributes:
      attributes: for each class by its identity, what makes its attributes.
      fields: for each class by its identity, the attributes that it is given.
    """

    def __init__(self, classes: Sequence[Class]) -> None:
        self.attributes = {id(cls): dict(cls.attributes) for cls in classes}
        self.fields: dict[int, list[str]] = {id(cls): [] for cls in classes}

    def place(self, cls: Class, other: Expression, first: Expression, unused: Unused) -> None:
        """Puts what is at one place of a class at another too, unless nobody uses it there."""
        word, *rest = steps = _steps(other)
        holder = Reach(cls).find(other.value) if isinstance(other, ast.Attribute) else None
        if isinstance(holder, Class) and unused.is_unused(holder, str(steps[-1])):
            return
        made = self.attributes[id(cls)]
        if not rest:
            made[str(word)] = first
        elif word in made and word != _steps(first)[0] and not _is_container(made[str(word)]):
            made[str(word)] = self._with(made[str(word)], rest, first)
        else:
            raise _elsewhere()

    def default(self, cls: Class, word: str, made: ast.Call) -> Expression:
        """What an object would make by itself of what it is given, by the call that makes the object."""
        own = dict(cls.attributes)
        if word not in own:
            raise _elsewhere()
        given = dict(zip(cls.arguments, made.args, strict=False))
        given |= {str(keyword.arg): keyword.value for keyword in made.keywords}
        found: Expression = replaced(own[word], given)
        return found

    def _with(self, tree: Expression, steps: Sequence[str | int], value: Expression) -> Expression:
        """What makes a part that has the value at these steps."""
        if not steps:
            return value
        word, *rest = steps
        match copied(tree):
            case ast.Call(ast.Name() as function) as made if hasattr(function, "cls") and str(word).isidentifier():
                return self._given(function.cls, str(word), rest, made, value)
            case ast.Call(ast.Attribute(ast.Name("nnx"), "Sequential")) as made if word == "layers":
                number = int(rest[0])
                made.args[number] = self._with(made.args[number], rest[1:], value)
                return made
        raise _elsewhere()

    def _given(self, cls: Class, word: str, rest: Sequence[str | int], made: ast.Call, value: Expression) -> Expression:
        if cls.items is not None:
            raise _elsewhere()
        if word not in self.fields[id(cls)]:
            self.fields[id(cls)].append(word)
            self.fields[id(cls)].sort(key=list(cls.instances[0].module._modules).index)
        known = {str(keyword.arg): keyword.value for keyword in made.keywords}
        if rest:
            value = self._with(known.get(word) or self.default(cls, word, made), rest, value)
        made.keywords = [ast.keyword(key, one) for key, one in {**known, word: value}.items()]
        return made


def _elsewhere() -> Untranslatable:
    return Untranslatable(
        "modules in it share a part in a way that linen has not",
        "give each place a module of its own, or translate it to nnx",
    )


def _steps(place: ast.AST) -> list[str | int]:
    """The attributes, numbers and keys that lead from `self` to a place."""
    match place:
        case ast.Name("self"):
            return []
        case ast.Attribute(holder, word) | ast.Call(ast.Name("getattr"), [holder, ast.Constant(word)]):
            return [*_steps(holder), str(word)]
        case ast.Subscript(holder, ast.Constant(str() | int() as key)):
            return [*_steps(holder), key]
    raise _elsewhere()


def _is_container(tree: Expression) -> bool:
    """Whether it makes a list or a dict of the class itself."""
    return ast.unparse(tree.func) in ("nnx.List", "nnx.Dict") if isinstance(tree, ast.Call) else False
