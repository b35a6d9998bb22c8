"""Loops: lines that do the same with one layer of a list after the other are written once."""

import ast
import dataclasses
from typing import Any, TypeAlias

from .code import Expression, copied, names
from .emitting import Body, Line, Loop
from .hints import singular

_LONGEST = 12  # lines in one turn
# The items of lists that a line uses: the list as text, and the number.
Items: TypeAlias = list[tuple[str, int]]


@dataclasses.dataclass(frozen=True)
class _Repeat:
    start: int
    period: int
    turns: int

    @property
    def saved(self) -> int:
        """How many lines there are fewer with it."""
        return self.period * (self.turns - 1) - 1


def roll(body: Body, lists: dict[str, list[str]]) -> None:
    """Writes what repeats as loops; `lists` are the names of the items of each, by the expression that leads to it."""
    lines: list[Line] = []
    at = 0
    templates = [_template(line) for line in body.lines]
    while at < len(body.lines):
        found = _longest(body.lines, templates, at)
        if found is None:
            lines.append(body.lines[at])
            at += 1
            continue
        lines += _loop(body, body.lines[at : at + found.period], templates[at : at + found.period], found, lists)
        at += found.period * found.turns
    body.lines = lines


def _longest(lines: list[Line], templates: list[tuple[str, Items]], start: int) -> _Repeat | None:
    """The repetition from this line on that saves most lines; none if it saves none."""
    best = None
    for period in range(1, _LONGEST + 1):
        turns = 1
        while _is_turn(templates, start, period, turns):
            turns += 1
        found = _Repeat(start, period, turns)
        if turns > 1 and found.saved > 0 and (best is None or found.saved > best.saved):
            best = found
    return best


def _is_turn(templates: list[tuple[str, Items]], start: int, period: int, turn: int) -> bool:
    """Whether the lines of a turn are those of the first with the next items of every list."""
    first = templates[start : start + period]
    these = templates[start + turn * period : start + (turn + 1) * period]
    if len(these) < period or not any(items for _, items in first):
        return False
    for (text, items), (other, others) in zip(first, these, strict=True):
        if text != other or [(word, n + turn) for word, n in items] != others:
            return False
    return True


def _template(line: Line) -> tuple[str, Items]:
    """A line as text without the numbers of items, and the items."""
    items: Items = []
    tree = copied(line.expression)
    found: list[Any] = [node for node in ast.walk(tree) if _is_item(node)]
    for node in found:
        items.append((ast.unparse(node.value), node.slice.value))
    for node in found:
        node.slice.value = "item"
    return repr((line.targets, line.several, line.comment, ast.dump(tree))), items


def _is_item(node: Any) -> bool:
    """Whether a node is an item of a list of layers, `self.blocks[2]`."""
    if not (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)):
        return False
    words = names(node.value)
    return type(node.slice.value) is int and words == ["self"] and isinstance(node.value, ast.Attribute)


def _loop(
    body: Body, lines: list[Line], templates: list[tuple[str, Items]], found: _Repeat, named: dict[str, list[str]]
) -> list[Line]:
    lists = list(dict.fromkeys(item for _, items in templates for item in items))
    taken = {*body.arguments, *(target for line in body.lines for target in line.targets)}
    whole = all(first == 0 and len(named.get(word, ())) == found.turns for word, first in lists)
    replacements: dict[tuple[str, int], Expression] = {}
    if whole:
        variables = []
        for word, first in lists:
            variables.append(_variable(word, named[word], taken))
            replacements[word, first] = ast.Name(variables[-1], ast.Load())
        sources = ", ".join(word for word, _ in lists)
        source = sources if len(lists) == 1 else f"zip({sources}, strict=True)"
        loop = Loop(", ".join(variables), source)
    else:
        counter = next(word for word in ("i", "n", "index") if word not in taken)
        start = min(first for _, first in lists)
        bounds = f"{found.turns}" if start == 0 else f"{start}, {start + found.turns}"
        for word, first in lists:
            shift = first - start
            number: Expression = ast.Name(counter, ast.Load())
            if shift:
                number = ast.BinOp(number, ast.Add(), ast.Constant(shift))
            replacements[word, first] = ast.Subscript(ast.parse(word, mode="eval").body, number, ast.Load())
        loop = Loop(counter, f"range({bounds})")
    return [dataclasses.replace(line, expression=_with(line.expression, replacements), loop=loop) for line in lines]


def _variable(word: str, known: list[str], taken: set[str]) -> str:
    """A name for the items of a list: that of PyTorch's loop, or one of what the list's name says."""
    own = [known[0]] if len(set(known)) == 1 and known[0] else []
    one = singular(word.rpartition(".")[2].strip("_"))
    found = next(name for name in (*own, one, "layer", "block", "part", "item") if name not in taken and name != word)
    taken.add(found)
    return found


def _with(tree: Any, replacements: dict[tuple[str, int], Expression]) -> Any:
    class Replacing(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
            if _is_item(node):
                return replacements[ast.unparse(node.value), node.slice.value]  # type: ignore[attr-defined]
            return self.generic_visit(node)

    return Replacing().visit(copied(tree))
