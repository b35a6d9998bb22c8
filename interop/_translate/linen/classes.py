"""The classes of a network in linen: parts made in `setup`, channels read off the inputs, and the mode as a field."""

import ast
import dataclasses
from collections.abc import Callable, Collection, Sequence

from flax import linen

from ..classes import Class
from ..code import Expression, name
from ..emitting import Untranslatable
from ..graph import Refusal
from .computing import Computing
from .making import Making

# Names that linen's modules have for other things.
_TAKEN = {*dir(linen.Module), "name", "parent", "scope"}


@dataclasses.dataclass(eq=False)
class LinenClass(Class):
    """A class to write in linen; one that holds the items of a Sequential becomes a function that makes it.

    Attributes:
      words: by the name of each argument, what nnx calls it.
      train: whether anything in it depends on the mode.
    """

    words: dict[str, str]
    train: bool


def in_linen(classes: Sequence[Class]) -> tuple[list[LinenClass], list[Refusal]]:
    """The classes as linen has them, and what linen cannot express."""
    made: dict[int, LinenClass] = {}
    refused: list[Refusal] = []
    for cls in classes:
        made[id(cls)] = _converted(cls, lambda cls: made[id(cls)], refused)
    return list(made.values()), refused


def _converted(cls: Class, find: Callable[[Class], LinenClass], refused: list[Refusal]) -> LinenClass:
    """A class in linen, without the arguments that it needs no longer; what it cannot have is added to `refused`."""

    def tried(convert: Callable[..., Expression], *given: object) -> Expression:
        try:
            return convert(*given)
        except Untranslatable as error:
            refused.append(Refusal(cls.instances[0].path, "", error.reason, error.advice))
            return ast.Constant(None)

    lead = "self." if cls.items is None else ""
    words = {_free(word, [attribute for attribute, _ in cls.attributes]): word for word in cls.arguments}
    arguments = {word: name(lead + new) for new, word in words.items()}
    making, computing = Making(cls, arguments, name(f"{lead}train"), find), Computing(cls, arguments)
    attributes = [(word, tried(making.attribute, word, tree)) for word, tree in cls.attributes]
    items = None if cls.items is None else [tried(making.part, item) for item in cls.items]
    body = cls.body
    if items is None:
        lines = [dataclasses.replace(line, expression=tried(computing.line, line)) for line in body.lines]
        body = dataclasses.replace(body, lines=lines, result=tried(computing.result, body.result))
    for word, _ in cls.attributes:
        tried(_check_name, word)
    for other, _ in cls.links:
        tried(_check_link, other)
    trees = [*(tree for _, tree in attributes), *(items or [])]
    used = {
        ast.unparse(node) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)
    }
    needed = {new: word for new, word in words.items() if word in cls.kept or lead + new in used}
    return LinenClass(
        cls.name,
        cls.instances,
        {new: cls.arguments[word] for new, word in needed.items()},
        attributes,
        items,
        body,
        list(needed),
        cls.links,
        needed,
        f"{lead}train" in used,
    )


def _free(word: str, taken: Collection[str]) -> str:
    """A name for an argument, which is a field in linen, beside the attributes."""
    while word in taken or word in _TAKEN:
        word += "_"
    return word


def _check_name(word: str) -> Expression:
    if word in _TAKEN:
        raise Untranslatable(f"its {word} has the name of a part of every linen module", "translate it to nnx")
    return name(word)


def _check_link(other: Expression) -> Expression:
    """In `setup`, a module may be named again, but not be put into another."""
    if not (isinstance(other, ast.Attribute) and isinstance(other.value, ast.Name)):
        place = ast.unparse(other).removeprefix("self.")
        raise Untranslatable(
            f"its {place} is a module that stands elsewhere too, and linen's modules hold only what they make",
            "give each place a module of its own, or translate it to nnx",
        )
    return other
