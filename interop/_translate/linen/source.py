"""Classes as linen has them: arguments as fields, and `setup`, which makes the parts."""

import textwrap
from collections.abc import Sequence

from ..printing import WIDTH, described, indented, method, type_of
from ..unparsing import unparse
from .classes import LinenClass


def write_classes(classes: Sequence[LinenClass]) -> list[str]:
    """The texts of the classes, each once."""
    texts = []
    for cls in _merged(classes):
        form = "class {}(nn.Module):" if cls.items is None else f"def {{}}({', '.join(_fields(cls))}) -> nn.Sequential:"
        docstring = indented(f'"""{described(cls)}"""')
        space = "\n" if cls.items is not None else "\n\n"
        texts.append(f"{form.format(cls.name)}\n{docstring}{space}{_torch_only(cls)}{indented(_body(cls))}")
    return texts


def training(name: str, texts: Sequence[str]) -> str:
    """What to say of training the network of this name; nothing if it has no modes."""
    drops, counts = (any(word in text for text in texts) for word in ("deterministic=", "use_running_average="))
    asks = ['`mutable=["batch_stats"]`'] * counts + ['`rngs={"dropout": key}`'] * drops
    words = f"`{name}(train=True)` is for training, applied with {' and '.join(asks)}."
    return f"\n\n{textwrap.fill(words, WIDTH)}\n" if asks else ""


def _merged(classes: Sequence[LinenClass]) -> list[LinenClass]:
    """The classes, those that have become the same as one; the last is the network."""
    groups: dict[tuple[type, str], list[LinenClass]] = {}
    for cls in classes[:-1]:
        group = groups.setdefault((type(cls.instances[0].module), _body(cls)), [])
        group.append(cls)
        cls.name, group[0].torch_only = group[0].name, tuple(dict.fromkeys((*group[0].torch_only, *cls.torch_only)))
    return [*(group[0] for group in groups.values()), *classes[-1:]]


def _fields(cls: LinenClass) -> list[str]:
    fields = [f"{word}: {type_of(values)}" for word, values in cls.arguments.items()]
    return fields + [f"{word}: nn.Module" for word in cls.fields] + ["train: bool = False"] * cls.train


def _torch_only(cls: LinenClass) -> str:
    if not cls.torch_only or cls.items is not None:
        return ""
    return indented(f"# PyTorch has these too, and does not use them.\ntorch_only = {cls.torch_only!r}") + "\n\n"


def _body(cls: LinenClass) -> str:
    """What follows the docstring."""
    if cls.items is not None:
        return f"return nn.Sequential([{', '.join(map(unparse, cls.items))}])"
    parts = []
    if cls.torch_layouts:
        parts.append(f"# How PyTorch's axes stand in these.\ntorch_layouts = {cls.torch_layouts!r}")
    if _fields(cls):
        parts.append("\n".join(_fields(cls)))
    if cls.attributes:
        parts.append("def setup(self) -> None:\n" + indented("\n".join(_setup(cls))))
    return "\n\n".join([*parts, method(cls)])


def _setup(cls: LinenClass) -> list[str]:
    """What makes the parts."""
    made = {word: unparse(tree) for word, tree in cls.attributes}
    return [
        f"self.{word} = {text}" if word.isidentifier() else f"setattr(self, {word!r}, {text})"
        for word, text in made.items()
    ]
