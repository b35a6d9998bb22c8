"""Lines put together: what is used once goes where it is used, as a person would nest it."""

import ast

from .code import Expression, names, replaced
from .emitting import Body, Line

# How deep calls are nested, and how long an expression may grow by it.
_DEEPEST = 4
_LONGEST = 100


def tidy(body: Body) -> None:
    """Drops what nobody uses, and nests what is used once and has no name in PyTorch."""
    body.lines = _used(body.lines, body.result)
    changed = True
    while changed:
        changed = False
        for line in body.lines:
            if _may_nest(line, body):
                _nest(line, body)
                changed = True
                break


def return_at_once(body: Body) -> None:
    """What is named only to be returned is returned."""
    if body.lines and isinstance(body.result, ast.Name):
        last = body.lines[-1]
        if last.targets == [body.result.id] and not (last.several or last.comment or last.loop):
            body.result = body.lines.pop().expression


def _used(lines: list[Line], result: Expression) -> list[Line]:
    needed, kept = set(names(result)), []
    for line in reversed(lines):
        if needed & {*line.targets} or not line.targets:
            needed |= {*names(line.expression)}
            kept.append(line)
    return kept[::-1]


def _may_nest(line: Line, body: Body) -> bool:
    if line.several or line.comment or not line.targets:
        return False
    (target,) = line.targets
    at = body.lines.index(line)
    later = body.lines[at + 1 :]
    users = [other for other in later if target in names(other.expression)]
    count = sum(names(other.expression).count(target) for other in users) + names(body.result).count(target)
    if count != 1:
        return False
    if _is_small(line.expression):
        return True
    if body.hints[target]:
        # What PyTorch's author gave a name is given one.
        return False
    if users and later[0] is not users[0] and not _is_pure_chain(later, users[0], target):
        return False
    into = users[0].expression if users else body.result
    longer = len(ast.unparse(line.expression)) + len(ast.unparse(into))
    return _depth(line.expression) + _depth_at(into, target) <= _DEEPEST and longer <= _LONGEST


def _is_pure_chain(later: list[Line], user: Line, target: str) -> bool:
    """Whether the user comes soon enough that nobody has to look for it."""
    return later.index(user) <= 3


def _is_small(expression: Expression) -> bool:
    """Sizes, numbers, elements and parameters by name are not worth a line."""
    if isinstance(expression, ast.Subscript):
        return isinstance(expression.value, ast.Name | ast.Attribute)
    return isinstance(expression, ast.Constant | ast.Name | ast.Attribute)


def _nest(line: Line, body: Body) -> None:
    (target,) = line.targets
    body.lines.remove(line)
    for other in body.lines:
        if target in names(other.expression):
            other.expression = replaced(other.expression, {target: line.expression})
            return
    body.result = replaced(body.result, {target: line.expression})


def _depth(tree: ast.AST) -> int:
    inner = max((_depth(child) for child in ast.iter_child_nodes(tree)), default=0)
    return inner + isinstance(tree, ast.Call | ast.BinOp | ast.Compare)


def _depth_at(tree: ast.AST, target: str) -> int:
    """How many calls are around a name."""
    if isinstance(tree, ast.Name):
        return 0 if tree.id == target else -100
    inner = max((_depth_at(child, target) for child in ast.iter_child_nodes(tree)), default=-100)
    return inner + isinstance(tree, ast.Call | ast.BinOp | ast.Compare)
