"""The classes of a network in linen: parts made in `setup`, channels read off the inputs, and the mode as a field."""

import ast
import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any

from flax import linen

from ..classes import Class
from ..code import Expression, name
from ..emitting import Untranslatable
from ..graph import Refusal
from ..instances import Network
from .computing import Computing
from .making import Making
from .sharing import Sharing
from .unused import Unused

# Names that linen's modules have for other things.
_TAKEN = {*dir(linen.Module), "name", "parent", "scope"}


@dataclasses.dataclass(eq=False)
class LinenClass(Class):
    """A class to write in linen; one that holds the items of a Sequential becomes a function that makes it.

    Attributes:
      words: by the name of each argument, what nnx calls it.
      fields: the modules that it is given.
      train: whether anything in it depends on the mode.
      torch_only: what it leaves out of PyTorch's, by its path.
    """

    words: dict[str, str]
    fields: list[str]
    train: bool
    torch_only: tuple[str, ...]


def in_linen(classes: Sequence[Class], network: Network) -> tuple[list[LinenClass], list[Refusal]]:
    """The classes as linen has them, and what linen cannot express."""
    conversion = _Conversion(classes, Unused(network))
    for cls in classes:
        conversion.convert(cls)
    return _used(list(conversion.made.values())), conversion.refused


class _Conversion:
    """The classes of a network on their way to linen."""

    def __init__(self, classes: Sequence[Class], unused: Unused) -> None:
        self.made: dict[int, LinenClass] = {}
        self.refused: list[Refusal] = []
        self._unused, self._sharing = unused, Sharing(classes)
        for cls in classes:
            for other, first in cls.links:
                self._tried(cls, self._sharing.place, cls, other, first, unused)

    def convert(self, cls: Class) -> None:
        """Adds a class, whose parts are there by now."""
        made = self._sharing.attributes[id(cls)]
        fields = self._sharing.fields[id(cls)]
        kept = [word for word in made if word not in fields and not self._unused.is_unused(cls, word)]
        lead = "self." if cls.items is None else ""
        words = {_free(word, made): word for word in cls.arguments}
        arguments = {word: name(lead + new) for new, word in words.items()}
        find = lambda cls: self.made[id(cls)]  # noqa: E731
        making, computing = Making(cls, arguments, name(f"{lead}train"), find, self._sharing), Computing(cls, arguments)
        for word in (*kept, *fields):
            self._tried(cls, _check_name, word)
        attributes = [(word, self._tried(cls, making.attribute, word, made[word])) for word in kept]
        items = None
        if cls.items is not None:  # linen has no Sequential of nothing
            items = [self._tried(cls, making.part, item) for item in cls.items or [name("nnx.identity")]]
        body = cls.body
        if items is None:
            lines = [
                dataclasses.replace(line, expression=self._tried(cls, computing.line, line)) for line in body.lines
            ]
            body = dataclasses.replace(body, lines=lines, result=self._tried(cls, computing.result, body.result))
        needs = _names([*(tree for _, tree in attributes), *(items or [])])
        needed = {new: word for new, word in words.items() if word in cls.kept or lead + new in needs}
        self.made[id(cls)] = LinenClass(
            name=cls.name,
            instances=cls.instances,
            arguments={new: cls.arguments[word] for new, word in needed.items()},
            attributes=attributes,
            items=items,
            body=body,
            kept=list(needed),
            links=[],
            words=needed,
            fields=fields,
            train=f"{lead}train" in needs,
            torch_only=self._unused.paths(cls),
        )

    def _tried(self, cls: Class, convert: Callable[..., Any], *given: Any) -> Any:
        """What this gives; if linen cannot have it, that is noted."""
        try:
            return convert(*given)
        except Untranslatable as error:
            self.refused.append(Refusal(cls.instances[0].path, "", error.reason, error.advice))
            return ast.Constant(None)


def _names(trees: list[Expression]) -> set[str]:
    """The names in these expressions, with their dots."""
    return {
        ast.unparse(node) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)
    }


def _used(classes: list[LinenClass]) -> list[LinenClass]:
    """Those that the last one needs."""
    names = {cls.name for cls in classes[-1:]}
    for cls in reversed(classes):
        if cls.name in names:
            trees = [*(tree for _, tree in cls.attributes), *(cls.items or [])]
            names |= {node.cls.name for tree in trees for node in ast.walk(tree) if hasattr(node, "cls")}
    return [cls for cls in classes if cls.name in names]


def _free(word: str, taken: Collection[str]) -> str:
    """A name for an argument, which is a field in linen, beside the attributes."""
    while word in taken or word in _TAKEN:
        word += "_"
    return word


def _check_name(word: str) -> Expression:
    if word in _TAKEN:
        raise Untranslatable(f"its {word} has the name of a part of every linen module", "translate it to nnx")
    return name(word)
