"""Lines put together: what is used once goes where it is used, as a person would nest it."""

import ast
from collections import Counter

from .code import Expression, names, replaced
from .emitting import Body, Line

# How deep calls are nested, how long an expression may grow by it, and how far on the next use may be.
_DEEPEST = 4
_LONGEST = 100
_FARTHEST = 4


def tidy(body: Body) -> None:
    """Drops what nobody uses, and nests what is used once and has no name in PyTorch."""
    body.lines = _used(body.lines, body.result)
    _Nesting(body).run()


def return_at_once(body: Body) -> None:
    """What is named only to be returned is returned."""
    if body.lines and isinstance(body.result, ast.Name):
        last = body.lines[-1]
        if last.targets == [body.result.id] and not (last.several or last.comment or last.loop):
            body.result = body.lines.pop().expression


def _used(lines: list[Line], result: Expression) -> list[Line]:
    needed, kept = set(names(result)), []
    for line in reversed(lines):
        if not line.targets or needed & {*line.targets}:
            needed |= {*names(line.expression)}
            kept.append(line)
    return kept[::-1]


class _Nesting:
    """The nesting of one body's lines; what each of them uses is counted once."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self._uses = {id(line): Counter(names(line.expression)) for line in body.lines}
        self._in_result = Counter(names(body.result))

    def run(self) -> None:
        """Nests until there is nothing more to nest."""
        before = -1
        while len(self.body.lines) != before:
            before = len(self.body.lines)
            for line in list(self.body.lines):
                self._nest(line)

    def _nest(self, line: Line) -> None:
        """Puts a line where it is used, if it may be put there."""
        if line.several or line.comment or len(line.targets) != 1:
            return
        (target,) = line.targets
        at = self.body.lines.index(line)
        later = [(n, other) for n, other in enumerate(self.body.lines[at + 1 :]) if self._uses[id(other)][target]]
        if sum(self._uses[id(other)][target] for _, other in later) + self._in_result[target] != 1:
            return
        user = later[0][1] if later else None
        into = user.expression if user is not None else self.body.result
        if not _is_small(line.expression) and (self.body.hints[target] or not _fits(line, into, target, later)):
            return
        self.body.lines.remove(line)
        if user is None:
            self.body.result = replaced(into, {target: line.expression})
            self._in_result = Counter(names(self.body.result))
        else:
            user.expression = replaced(into, {target: line.expression})
            self._uses[id(user)] = Counter(names(user.expression))


def _fits(line: Line, into: Expression, target: str, later: list[tuple[int, Line]]) -> bool:
    """Whether it is used soon, and what it goes into stays easy to read."""
    if later and later[0][0] >= _FARTHEST:
        return False
    if _depth(line.expression) + _depth_at(into, target) > _DEEPEST:
        return False
    return len(ast.unparse(line.expression)) + len(ast.unparse(into)) <= _LONGEST


def _is_small(expression: Expression) -> bool:
    """Sizes, numbers, elements and parameters by name are not worth a line."""
    if isinstance(expression, ast.Subscript):
        return isinstance(expression.value, ast.Name | ast.Attribute)
    return isinstance(expression, ast.Constant | ast.Name | ast.Attribute)


def _depth(tree: ast.AST) -> int:
    inner = max((_depth(child) for child in ast.iter_child_nodes(tree)), default=0)
    return inner + isinstance(tree, ast.Call | ast.BinOp | ast.Compare)


def _depth_at(tree: ast.AST, target: str) -> int:
    """How many calls are around a name."""
    if isinstance(tree, ast.Name):
        return 0 if tree.id == target else -100
    inner = max((_depth_at(child, target) for child in ast.iter_child_nodes(tree)), default=-100)
    return inner + isinstance(tree, ast.Call | ast.BinOp | ast.Compare)
