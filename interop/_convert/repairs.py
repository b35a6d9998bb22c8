"""What to type so that a state dict fits: renaming that its names and shapes suggest, or pairing by order.

Whatever is suggested has been tried: it repairs what it says, and makes no other fault.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .likeness import alike
from .naming import Rename
from .numbering import renumbered
from .report import FAULTS, Report

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

# Beyond so many prefixes, one argument that pairs by order is easier to read.
_FEW = 12


def advice(
    report: Report,
    held: Shapes,
    needed: Shapes,
    rename: Rename,
    attempt: Callable[[Rename], Report],
    attempt_in_order: Callable[[], Report] | None,
) -> str:
    """What to type instead, and why; empty where that is not certain.

    Args:
      report: what is wrong.
      held, needed: the shapes of the state dict's tensors and of those that the model needs, by their names in it.
      rename: what was given as `rename`.
      attempt: the report with another `rename`.
      attempt_in_order: the report with `match="order"`; None if that was given.
    """
    if not report.missing_keys:
        return ""
    found = []
    if isinstance(rename, Mapping | None) and all(isinstance(key, str) for key in rename or ()):
        for rules, reason in _renamings(held, needed):
            combined: dict[Any, str | None] = dict(rename or {}) | dict(rules)
            if _repairs(report, attempt(combined), whole="" in (*rules, *rules.values())):
                found.append((len(combined), f"{reason}: rename={combined!r} repairs that"))
    if found and min(found)[0] <= _FEW:
        return min(found)[1]
    if attempt_in_order is not None and 2 * len(needed.keys() - held.keys()) > len(needed) and attempt_in_order().ok:
        return 'its names are not the model\'s, but types, shapes and order fit: match="order" pairs them'
    return min(found)[1] if found else ""


def _repairs(before: Report, after: Report, whole: bool) -> bool:
    """Whether nothing is missing or unexpected any more, and nothing is wrong that was not wrong before.

    Tensors may stay unexpected if the `whole` model is found under a prefix: other models may be beside it.
    """
    left = bool(after.missing_keys) or (bool(after.unexpected_keys) and not whole)
    return not left and _faults(after) <= _faults(before)


def _faults(report: Report) -> set[tuple[str, tuple[str, ...] | str]]:
    """Each fault by what stays the same when names change: the tensor's name in the checkpoint, or the array."""
    return {(row.status, row.source or row.target or row.name) for row in report.rows if row.status in FAULTS}


def _renamings(held: Shapes, needed: Shapes) -> Iterator[tuple[dict[str, str], str]]:
    """Prefixes to replace, and why."""
    numbers, shift = renumbered(held, needed)
    prefixes, likeness = alike(_replaced(held, numbers), needed)
    if numbers and prefixes:
        yield numbers | prefixes, f"{shift}, and {likeness}"
    if numbers:
        yield numbers, shift
    elif prefixes:
        yield prefixes, likeness


def _replaced(held: Shapes, rules: Mapping[str, str]) -> dict[str, Shape]:
    """The shapes under the names that these prefixes give."""
    result = {}
    for name, shape in held.items():
        old = max((prefix for prefix in rules if name.startswith(prefix)), key=len, default="")
        result[rules.get(old, "") + name[len(old) :]] = shape
    return result
