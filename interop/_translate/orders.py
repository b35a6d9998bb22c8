"""The orders of axes: which of PyTorch's axes stands where in the Flax array.

An order lists torch's axes as Flax has them: `(0, 2, 3, 1)` is an image whose channels, torch's axis 1, are last.
"""

import ast
from collections.abc import Sequence
from typing import TypeAlias

from .code import Expression, call

Order: TypeAlias = tuple[int, ...]


def plain(ndim: int) -> Order:
    """The order in which torch has them."""
    return tuple(range(ndim))


def channels_last(ndim: int) -> Order:
    """The second axis last, the others as in torch."""
    return (0, *range(2, ndim), 1)[:ndim] if ndim > 1 else plain(ndim)


def place(order: Order, axis: int) -> int:
    """Where in the Flax array torch's axis is; counted from the end if it is the last."""
    found = order.index(axis % len(order))
    return -1 if found == len(order) - 1 else found


def moved(array: Expression, have: Order, want: Order) -> Expression:
    """The array with its axes in another order."""
    places = tuple(have.index(axis) for axis in want)
    last = len(places) - 1

    def named(n: int) -> int:
        return -1 if n == last else n

    changed = [n for n, source in enumerate(places) if n != source]
    if not changed:
        return array
    if len(places) == len(changed) == 2:
        return ast.Attribute(array, "T", ast.Load())
    if len(changed) == 2:
        return call("jnp.swapaxes", array, *map(named, changed))
    for source in (places[changed[0]], changed[0], changed[-1]):
        for target in (changed[0], changed[-1], places.index(source)):
            rest = [n for n in range(len(places)) if n != source]
            rest.insert(target, source)
            if tuple(rest) == places:
                return call("jnp.moveaxis", array, named(source), named(target))
    return call("jnp.transpose", array, places)


def without(order: Order, axes: Sequence[int]) -> Order:
    """The order of what is left when these axes are gone."""
    gone = {axis % len(order) for axis in axes}
    left = sorted(axis for axis in order if axis not in gone)
    return tuple(left.index(axis) for axis in order if axis not in gone)


def with_new(order: Order, axis: int, at: int) -> Order:
    """The order with a new torch axis, which stands at this place in Flax."""
    others = [old + (old >= axis) for old in order]
    others.insert(at, axis)
    return tuple(others)


def groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]] | None:
    """Which axes of a reshaped tensor hold which axes of the tensor before: the finest runs of equal products."""
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        ins, outs = [], []
        have = want = 1
        if i < len(before):
            ins.append(i)
            have *= before[i]
            i += 1
        if j < len(after) and (have != 1 or not ins or after[j] == 1):
            outs.append(j)
            want *= after[j]
            j += 1
        while have != want:
            if have < want and i < len(before):
                ins.append(i)
                have *= before[i]
                i += 1
            elif want < have and j < len(after):
                outs.append(j)
                want *= after[j]
                j += 1
            elif i < len(before):
                ins.append(i)
                have *= before[i]
                i += 1
            elif j < len(after):
                outs.append(j)
                want *= after[j]
                j += 1
            else:
                return None
        found.append((ins, outs))
    return found
