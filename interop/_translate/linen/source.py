"""A class as linen has it: arguments as fields, and `setup`, which makes its parts."""

from ..printing import described, indented, method, type_of
from ..unparsing import unparse
from .classes import LinenClass


def write_class(cls: LinenClass) -> str:
    """The text of the class, or of the function that makes a Sequential."""
    fields = [f"{word}: {type_of(values)}" for word, values in cls.arguments.items()]
    fields += ["train: bool = False"] if cls.train else []
    docstring = indented(f'"""{described(cls)}"""')
    if cls.items is not None:
        made = indented(f"return nn.Sequential([{', '.join(map(unparse, cls.items))}])")
        return f"def {cls.name}({', '.join(fields)}) -> nn.Sequential:\n{docstring}\n{made}"
    parts = [f"class {cls.name}(nn.Module):\n{docstring}"]
    if cls.torch_layouts:
        parts.append(indented(f"# How PyTorch's axes stand in these.\ntorch_layouts = {cls.torch_layouts!r}"))
    parts += [indented("\n".join(fields))] if fields else []
    setup = _setup(cls)
    parts += [indented("def setup(self) -> None:\n" + indented(setup))] if setup else []
    return "\n\n".join([*parts, indented(method(cls))])


def _setup(cls: LinenClass) -> str:
    """What makes the parts."""
    lines = []
    for word, tree in cls.attributes:
        made = unparse(tree)
        lines.append(f"self.{word} = {made}" if word.isidentifier() else f"setattr(self, {word!r}, {made})")
    if cls.links:
        lines.append("# One module at several places, as in PyTorch.")
        lines += [f"{unparse(other)} = {unparse(first)}" for other, first in cls.links]
    return "\n".join(lines)
