"""The text of the file: imports, classes, docstrings, formatted as ruff formats."""

import ast
import functools
import inspect
import shutil
import subprocess
import sys
import textwrap
from typing import Any

import jax
from flax import nnx

import jax_tconv.nnx

from .classes import Class
from .code import Expression, copied, name, names
from .emitting import Line, Orders
from .graph import Value, leaves

WIDTH = 120
_LONGEST_TEXT = 80
_LETTERS = {2: "NC", 3: "NCL", 4: "NCHW", 5: "NCDHW"}


def write_source(classes: list[Class], words: str) -> str:
    """The whole file."""
    text = "\n\n\n".join(_class(cls) for cls in classes)
    if "missing" in _names(text):
        text = f"{_MISSING}\n\n\n{text}"
    return formatted("\n".join([f'"""{words}"""', "", *_imports(text), "", "", text, ""]))


_MISSING = '''def missing(reason: str, *arrays: jax.Array) -> Any:
    """Stands where a part of the network could not be translated."""
    raise NotImplementedError(reason)'''


def _names(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


def _imports(text: str) -> list[str]:
    used = _names(text)
    standard = ["import math"] if "math" in used else []
    standard += ["from functools import partial"] if "partial" in used else []
    standard += ["from typing import Any"] if "Any" in used else []
    third = ["import jax"] if "jax" in used else []
    third += ["import jax.numpy as jnp"] if "jnp" in used else []
    third += ["from flax import nnx"]
    third += ["from jax_tconv import conv_transpose"] if "conv_transpose" in used else []
    third += ["from jax_tconv import functional"] if "functional" in used else []
    own = sorted(used & {"ConvTranspose", "PReLU", "LayerNorm", "GRUCell"})
    third += [f"from jax_tconv.nnx import {', '.join(own)}"] if own else []
    return [*standard, *([""] if standard else []), *third]


def _class(cls: Class) -> str:
    base = "nnx.Sequential" if cls.items is not None else "nnx.Module"
    parts = [f"class {cls.name}({base}):", _indented(f'"""{_described(cls)}"""')]
    init = _init(cls)
    if init:
        parts += ["", _indented(init)]
    if cls.items is None:
        parts += ["", _indented(_method(cls))]
    return "\n".join(parts)


def _init(cls: Class) -> str:
    if not cls.links and not cls.attributes and not cls.items and not cls.kept:
        return ""
    arguments = [f"{word}: {_type(values)}" for word, values in cls.arguments.items()]
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
    return f"def __init__({', '.join(['self', *arguments])}) -> None:\n" + _indented("\n".join(lines))


def _method(cls: Class) -> str:
    body = cls.body
    arguments = ", ".join(f"{word}: {_argument_type(cls, word)}" for word in body.arguments)
    lines: list[str] = []
    loop = None
    for line in body.lines:
        if line.loop is not loop and line.loop is not None:
            lines.append(f"for {line.loop.variables} in {line.loop.source}:")
        loop = line.loop
        lines += [text if loop is None else f"    {text}" for text in _line(line)]
    lines.append(f"return {unparse(body.result)}")
    return f"def __call__(self, {arguments}) -> {_result_type(cls)}:\n" + _indented("\n".join(lines))


def _line(line: Line) -> list[str]:
    comment = [f"# {words}" for words in textwrap.wrap(line.comment, WIDTH - 20)]
    if not line.targets:
        return [*comment, f"raise {unparse(line.expression)}"]
    targets = ", ".join(line.targets) + ("," if line.several and len(line.targets) == 1 else "")
    return [*comment, f"{targets} = {unparse(line.expression)}"]


def _argument_type(cls: Class, word: str) -> str:
    tree = cls.instances[0].frame.parameters.get(word)
    return _tree_type(tree)


def _result_type(cls: Class) -> str:
    return _tree_type(cls.instances[0].frame.result)


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


def _type(values: tuple[Any, ...]) -> str:
    kinds = {type(value) for value in values}
    if kinds == {tuple}:
        return "tuple[int, ...]"
    if kinds <= {int, float} and float in kinds:
        return "float"
    return " | ".join(sorted(kind.__name__ if kind is not tuple else "tuple[int, ...]" for kind in kinds))


def _described(cls: Class) -> str:
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
    return f"{words}.\n\nTakes {shapes}; gives {', '.join(given)}.\n" if shapes else f"{words}."


def _at(tree: Any, place: Any) -> Any:
    for key in place:
        tree = tree[key]
    return tree.order


def letters(value: Value, order: Any) -> str:
    """The axes of an array by their letters: `(N, H, W, C)`."""
    if tuple(order) == tuple(range(value.ndim)):
        return (
            "("
            + ", ".join("N" if n == 0 else str(size) for n, size in enumerate(value.shape))
            + ("," if value.ndim == 1 else "")
            + ")"
        )
    words = _LETTERS.get(value.ndim, "")
    sizes = [words[axis] if words and words[axis] != "C" else str(value.shape[axis]) for axis in order]
    return f"({', '.join(sizes)})"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line.strip() else "" for line in text.split("\n"))


# Expressions


def unparse(tree: Expression) -> str:
    """An expression as source, without arguments that are Flax's defaults."""
    return ast.unparse(ast.fix_missing_locations(_Plainer().visit(copied_with_classes(tree))))


def copied_with_classes(tree: Any) -> Any:
    """A copy in which classes have their names."""

    def renamed(have: Any, new: Any) -> None:
        for old, made in zip(ast.walk(have), ast.walk(new), strict=True):
            if isinstance(old, ast.Name) and hasattr(old, "cls"):
                made.id = old.cls.name

    new = copied(tree)
    renamed(tree, new)
    return new


class _Plainer(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """A long text in several pieces, as no formatter breaks it."""
        if not isinstance(node.value, str) or len(node.value) <= _LONGEST_TEXT:
            return node
        pieces = textwrap.wrap(node.value, _LONGEST_TEXT, drop_whitespace=False)
        return ast.Name("(" + " ".join(map(repr, pieces)) + ")", ast.Load())

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        defaults = _defaults(ast.unparse(node.func))
        node.keywords = [
            keyword
            for keyword in node.keywords
            if not (isinstance(keyword.value, ast.Constant) and _is_default(defaults, keyword))
        ]
        return node


def _is_default(defaults: dict[str, Any], keyword: ast.keyword) -> bool:
    if keyword.arg not in defaults:
        return False
    assert isinstance(keyword.value, ast.Constant)
    default, value = defaults[keyword.arg], keyword.value.value
    return type(default) is type(value) and default == value


@functools.cache
def _defaults(function: str) -> dict[str, Any]:
    """The defaults of a Flax class by its name in the source."""
    cls = getattr(jax_tconv.nnx, function, None)
    if function.startswith("nnx."):
        cls = getattr(nnx, function.removeprefix("nnx."), None)
    if not isinstance(cls, type):
        return {}
    return {word: one.default for word, one in inspect.signature(cls.__init__).parameters.items()}


def formatted(text: str) -> str:
    """The text as ruff formats it, with its imports sorted."""
    ruff = shutil.which("ruff") or shutil.which("ruff", path=str(sys.prefix) + "/bin")
    if ruff is None:
        raise RuntimeError("translate formats what it writes with ruff, which is not here; pip install ruff")
    for arguments in (("check", "--select", "I,F401", "--fix", "--quiet"), ("format", "--quiet")):
        command = [
            ruff,
            *arguments,
            "--isolated",
            "--line-length",
            str(WIDTH),
            "--stdin-filename",
            "translated.py",
            "-",
        ]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"ruff refuses the source: {done.stderr or done.stdout}")
        text = done.stdout
    return text


_ = (jax, name, names, Orders)
