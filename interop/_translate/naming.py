"""Names of variables: PyTorch's where it has any, and one name for what follows one upon the other."""

import ast
import builtins
import keyword
import re

from .code import copied, names
from .emitting import Body

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
            free = lambda word, at=at: word not in held or ends[held[word]] <= at
            chosen[target] = _choose(body, line, target, free, held)
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


def _choose(body: Body, line, target, free, held) -> str:
    hints = [hint for hint in body.hints[target] if hint not in _TAKEN]
    for hint in (*hints, *_own_words(body, line)):
        if free(hint) and hint not in _TAKEN:
            return hint
    base = (hints or _own_words(body, line) or ["x"])[0]
    base = re.sub(r"_?\d+$", "", base) or "x"
    n = 2
    while not free(f"{base}{n}"):
        n += 1
    return f"{base}{n}"


def _own_words(body: Body, line) -> list[str]:
    """Words for what has no name: that of the input if it is not needed any more, the layer's, the function's."""
    used = [word for word in names(line.expression) if word in body.arguments or word.startswith("%")]
    words = []
    if len(line.targets) == 1 and "x" in body.arguments:
        words.append("x")
    called = line.expression.func if isinstance(line.expression, ast.Call) else None
    if isinstance(called, ast.Attribute):
        word = called.attr
        if isinstance(called.value, ast.Name) and called.value.id == "self":
            words.append(word)
        elif word in _BY_FUNCTION:
            words.append(_BY_FUNCTION[word])
    del used
    return [*words, "x", "y", "z"]


def _renamed(tree, chosen: dict[str, str]):
    tree = copied(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in chosen:
            node.id = chosen[node.id]
    return tree
