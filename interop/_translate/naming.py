"""Names of variables: PyTorch's where it has any, and one name for what follows one upon the other."""

import ast
import builtins
import keyword
import re
from typing import Any

from .code import copied, names
from .emitting import Body, Line

_TAKEN = {"self", "nnx", "jnp", "jax", "rngs", "functional", "partial", "math", *keyword.kwlist, *dir(builtins)}
# What a variable is called that has no name in PyTorch, by the function that makes it.
_BY_FUNCTION = {
    "concatenate": "joined", "mean": "mean", "softmax": "weights", "matmul": "product", "einsum": "product",
    "zeros": "zeros", "ones": "ones", "arange": "positions", "stack": "stacked", "var": "variance",
}  # fmt: skip


def name_variables(body: Body) -> None:
    """Gives every variable of a body its name, in place."""
    last_use = _last_uses(body)
    held: dict[str, str] = {argument: argument for argument in body.arguments}
    chosen: dict[str, str] = {}
    ends = {argument: last_use.get(argument, -1) for argument in body.arguments}
    for at, line in enumerate(body.lines):
        for target in line.targets:
            if target not in last_use:
                chosen[target] = "_"
                continue
            taken = {word for word, variable in held.items() if ends[variable] > at}
            # What PyTorch keeps by another name while it uses this one again.
            lines = body.lines[at + 1 : last_use[target]]
            again = {word for other in lines for one in other.targets for word in body.hints[one][:1]}
            if any(hint not in again for hint in body.hints[target]):
                taken |= again
            chosen[target] = _choose(body, line, target, taken)
            held[chosen[target]] = target
            ends[target] = last_use[target]
    for line in body.lines:
        line.targets = [chosen[target] for target in line.targets]
        line.expression = _renamed(line.expression, chosen)
    body.result = _renamed(body.result, chosen)


def _last_uses(body: Body) -> dict[str, int]:
    found: dict[str, int] = {}
    for at, line in enumerate(body.lines):
        for used in names(line.expression):
            found[used] = at
    for used in names(body.result):
        found[used] = len(body.lines)
    return found


def _choose(body: Body, line: Line, target: str, taken: set[str]) -> str:
    """A name that no other variable has that is still needed."""
    hints = [hint for hint in body.hints[target] if hint not in _TAKEN and not hint.startswith("_")]
    words = [*hints, *_own_words(body, line)]
    found = next((word for word in words if word not in taken and word not in _TAKEN), None)
    if found is not None:
        return found
    base = re.sub(r"_?\d+$", "", (hints or words)[0]) or "x"
    return next(word for n in range(2, len(taken) + 3) if (word := f"{base}{n}") not in taken)


def _own_words(body: Body, line: Line) -> list[str]:
    """Words for what has no name in PyTorch: `x` where that is what the method takes, the layer's, the function's."""
    words = ["x"] if len(line.targets) == 1 and "x" in body.arguments else []
    called = line.expression.func if isinstance(line.expression, ast.Call) else None
    if isinstance(called, ast.Attribute):
        if isinstance(called.value, ast.Name) and called.value.id == "self":
            words.append(called.attr)
        elif called.attr in _BY_FUNCTION:
            words.append(_BY_FUNCTION[called.attr])
    return [*words, "x", "y", "z"]


def _renamed(tree: Any, chosen: dict[str, str]) -> Any:
    tree = copied(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in chosen:
            node.id = chosen[node.id]
    return tree
