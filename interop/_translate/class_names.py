"""Names of classes: torch's, and what sets them apart where several are one class in torch."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .classes import Class

_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")


def name_classes(classes: list[Class]) -> None:
    """Gives every class its name."""
    by_name: dict[str, list[Class]] = {}
    for cls in classes:
        by_name.setdefault(_torch_name(cls), []).append(cls)
    taken: set[str] = set()
    for word, several in by_name.items():
        # The most used one has the plain name.
        for cls in sorted(several, key=lambda cls: -len(cls.instances)):
            choices = [word, *_told_apart(word, cls, several)]
            numbered = (f"{choices[-1]}{n}" for n in range(2, len(several) + len(taken) + 3))
            cls.name = next(choice for choice in (*choices, *numbered) if choice not in taken)
            taken.add(cls.name)


def _torch_name(cls: Class) -> str:
    instance = cls.instances[0]
    word = type(instance.module).__name__
    if word in _CONTAINERS and instance.path:
        named = [step for step in instance.path if not step.isdigit()]
        word = _capitalized(named[-1]) if named else "Block"
    return word.removeprefix("Parametrized")


def _told_apart(word: str, cls: Class, several: list[Class]) -> list[str]:
    """Names that say what a class has that others lack, or lacks that others have."""
    own = {attribute for attribute, _ in cls.attributes}
    others: list[set[str]] = [{attribute for attribute, _ in other.attributes} for other in several if other is not cls]
    if not others:
        return []
    arguments = {*cls.body.arguments}
    taken: list[set[str]] = [{*other.body.arguments} for other in several if other is not cls]
    more, less = own - others[0].intersection(*others), others[0].union(*others) - own
    found = []
    if _adds_its_input(cls) and not all(map(_adds_its_input, several)):
        found.append(f"Residual{word}")
    extra = [word for word in cls.body.arguments if word in arguments - taken[0].intersection(*taken)]
    found += [f"{word}With{_capitalized(attribute)}" for attribute in (*sorted(more), *extra)[:1]]
    found += [f"{word}Without{_capitalized(attribute)}" for attribute in sorted(less)[:1]]
    return found


def _adds_its_input(cls: Class) -> bool:
    result = cls.body.result
    ends = [result.left, result.right] if isinstance(result, ast.BinOp) and isinstance(result.op, ast.Add) else []
    return any(isinstance(end, ast.Name) and end.id in cls.body.arguments for end in ends)


def _capitalized(words: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split("_", words) if part)
