"""Sizes of one array taken at once: `b, h, w, c = x.shape`."""

import dataclasses

from .code import name, subscript
from .emitting import Body, Line, Place


def unpack_sizes(body: Body) -> None:
    """Lines that each take a size of the same array become one, where the first of them stands."""
    by_array: dict[str, list[Line]] = {}
    for line in body.lines:
        if line.place is not None:
            by_array.setdefault(line.place.array, []).append(line)
    for lines in by_array.values():
        if len(lines) > 1:
            joined = _joined(lines, body)
            if joined is not None:
                body.lines[body.lines.index(lines[0])] = joined
                body.lines = [line for line in body.lines if line not in lines]


def _joined(lines: list[Line], body: Body) -> Line | None:
    """One line for several; None if too much of the shape would be left over."""
    targets = {_axis(line.place): line.targets[0] for line in lines if line.place is not None}
    place = lines[0].place
    assert place is not None
    low, high = min(targets), max(targets) + 1
    if len(targets) < len(lines) or high - low - len(targets) > 1:
        return None
    shape = name(f"{place.array}.shape")
    end = None if high == place.ndim else high
    expression = shape if (low, end) == (0, None) else subscript(shape, slice(low or None, end))
    return dataclasses.replace(
        lines[0],
        targets=[targets.get(axis, _unused(body)) for axis in range(low, high)],
        expression=expression,
        several=True,
        place=None,
    )


def _unused(body: Body) -> str:
    """A variable that nothing uses, and so will be called `_`."""
    target = f"%{len(body.hints)}"
    body.hints[target] = []
    return target


def _axis(place: Place | None) -> int:
    assert place is not None
    return place.axis % place.ndim
