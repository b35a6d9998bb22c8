"""A class as nnx has it: `__init__` makes its parts."""

from .classes import Class
from .printing import described, indented, method, type_of
from .unparsing import unparse


def write_class(cls: Class) -> str:
    """The text of the class."""
    base = "nnx.Sequential" if cls.items is not None else "nnx.Module"
    parts = [f"class {cls.name}({base}):", indented(f'"""{described(cls)}"""')]
    if cls.torch_layouts:
        parts += ["", indented(f"# How PyTorch's axes stand in these.\ntorch_layouts = {cls.torch_layouts!r}")]
    init = _init(cls)
    if init:
        parts += ["", indented(init)]
    if cls.items is None:
        parts += ["", indented(method(cls))]
    return "\n".join(parts)


def _init(cls: Class) -> str:
    if not cls.links and not cls.attributes and not cls.items and not cls.kept:
        return ""
    arguments = [f"{word}: {type_of(values)}" for word, values in cls.arguments.items()]
    if cls.takes_rngs:
        arguments += ["*", "rngs: nnx.Rngs"]
    lines = [f"self.{word} = {word}" for word in cls.kept]
    if cls.items is not None:
        lines.append(f"super().__init__({', '.join(map(unparse, cls.items))})")
    for word, tree in cls.attributes:
        made = unparse(tree)
        lines.append(f"self.{word} = {made}" if word.isidentifier() else f"setattr(self, {word!r}, {made})")
    if cls.links:
        lines.append("# One module at several places, as in PyTorch.")
        lines += [f"{unparse(other)} = {unparse(first)}" for other, first in cls.links]
    return f"def __init__({', '.join(['self', *arguments])}) -> None:\n" + indented("\n".join(lines))
