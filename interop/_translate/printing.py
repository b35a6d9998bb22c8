"""What the classes of nnx and of linen have in common: the method, the docstring, types."""

import textwrap
from typing import Any

from .classes import Class
from .emitting import Line
from .graph import Value, leaves
from .unparsing import unparse

WIDTH = 120
_LETTERS = {2: "NC", 3: "NCL", 4: "NCHW", 5: "NCDHW"}


def method(cls: Class) -> str:
    """What the class computes."""
    body, frame = cls.body, cls.instances[0].frame
    arguments = ", ".join(f"{word}: {_tree_type(frame.parameters.get(word))}" for word in body.arguments)
    lines: list[str] = []
    loop = None
    for line in body.lines:
        if line.loop is not loop and line.loop is not None:
            lines.append(f"for {line.loop.variables} in {line.loop.source}:")
        loop = line.loop
        lines += [text if loop is None else f"    {text}" for text in _line(line)]
    lines.append(f"return {unparse(body.result)}")
    return f"def __call__(self, {arguments}) -> {_tree_type(frame.result)}:\n" + indented("\n".join(lines))


def _line(line: Line) -> list[str]:
    comment = [f"# {words}" for words in textwrap.wrap(line.comment, WIDTH - 20)]
    if not line.targets:
        return [*comment, f"raise {unparse(line.expression)}"]
    targets = ", ".join(line.targets) + ("," if line.several and len(line.targets) == 1 else "")
    return [*comment, f"{targets} = {unparse(line.expression)}"]


def _tree_type(tree: Any) -> str:
    if isinstance(tree, tuple):
        inner = {_tree_type(item) for item in tree}
        return f"tuple[{inner.pop()}, ...]" if len(inner) == 1 else f"tuple[{', '.join(map(_tree_type, tree))}]"
    if isinstance(tree, list):
        inner = {_tree_type(item) for item in tree}
        return f"list[{inner.pop() if len(inner) == 1 else 'jax.Array'}]"
    if isinstance(tree, dict):
        return "dict[str, jax.Array]"
    if isinstance(tree, int) and not isinstance(tree, bool):
        return "int"
    return "jax.Array"


def type_of(values: tuple[Any, ...]) -> str:
    """The type of an argument that has these values."""
    kinds = {type(value) for value in values}
    if kinds == {tuple}:
        return "tuple[int, ...]"
    if kinds <= {int, float} and float in kinds:
        return "float"
    return " | ".join(sorted(kind.__name__ if kind is not tuple else "tuple[int, ...]" for kind in kinds))


def described(cls: Class) -> str:
    """The docstring: which class of torch's it was, and what it takes and gives."""
    instance = cls.instances[0]
    torch_class = type(instance.module)
    words = f"{torch_class.__module__}.{torch_class.__qualname__} in PyTorch"
    if cls.items is not None or instance.body.orders is None:
        return f"{words}."
    taken = [
        (word if not place else f"{word}[{', '.join(map(repr, place))}]", value, orders)
        for word in instance.body.arguments
        for place, value in leaves(instance.frame.parameters[word])
        if isinstance(value, Value)
        for orders in [_at(instance.orders[word], place)]
    ]
    shapes = ", ".join(f"{word} {letters(value, orders)}" for word, value, orders in taken)
    given = [
        letters(value, _at(instance.body.orders, place))
        for place, value in leaves(instance.frame.result)
        if isinstance(value, Value)
    ]
    if not shapes:
        return f"{words}."
    sentence = f"Takes {shapes}; gives {', '.join(given)}."
    return f"{words}.\n\n{textwrap.fill(sentence, WIDTH - 8)}\n"


def _at(tree: Any, place: Any) -> Any:
    for key in place:
        tree = tree[key]
    return tree.order


def letters(value: Value, order: Any) -> str:
    """The axes of an array by their letters: `(N, H, W, C)`."""
    if tuple(order) == tuple(range(value.ndim)):
        sizes = ["N" if n == 0 else str(size) for n, size in enumerate(value.shape)]
        return f"({', '.join(sizes)}{',' * (value.ndim == 1)})"
    words = _LETTERS.get(value.ndim, "")
    sizes = [words[axis] if words and words[axis] != "C" else str(value.shape[axis]) for axis in order]
    return f"({', '.join(sizes)})"


def indented(text: str) -> str:
    """The text as it stands within a class or a function."""
    return "\n".join(f"    {line}" if line.strip() else "" for line in text.split("\n"))
