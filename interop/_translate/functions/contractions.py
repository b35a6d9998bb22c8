"""Sums over letters: torch's equations, and products of matrices as such, for operands with their axes elsewhere."""

from collections.abc import Sequence
from typing import Any

from ..code import call
from ..emitting import Emitter, Out
from ..graph import Value
from ..orders import Order, plain

_ALL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# The axes before the last two of a matrix: a batch, and heads.
_BATCH = {0: "", 1: "b", 2: "bh", 3: "bgh", 4: "bfgh"}


def contracted(e: Emitter, operands: Sequence[tuple[Value, str]], letters: str, ellipsis: int = 0) -> Out:
    """The sum of products, each operand's axes named by letters in torch's order; an ellipsis is so many axes at most.

    The result has the letters of `letters`, in the order that suits the operands.
    """
    own = [_laid_out(e, value, words, ellipsis) for value, words in operands]
    order = _result_order(own, _axes(letters, ellipsis))
    given = [_written([words[axis] for axis in order_of]) for words, order_of, _ in own]
    result = _axes(letters, ellipsis)
    equation = f"{','.join(given)}->{_written([result[axis] for axis in order])}"
    return Out(call("jnp.einsum", equation, *(array for _, _, array in own)), order)


def _laid_out(e: Emitter, value: Value, letters: str, ellipsis: int) -> tuple[list[str], Order, Any]:
    """A letter for each of an operand's axes, the order in which it is given, and its array."""
    own = value.ndim - len(letters.replace("...", ""))
    axes = _axes(letters, own)
    if own:
        # Axes of an ellipsis are counted from the last, as they are broadcast.
        axes = [axis if len(axis) == 1 else f"...{int(axis[3:]) + ellipsis - own}" for axis in axes]
    order = e.order(value)
    places = [n for n, axis in enumerate(order) if len(axes[axis]) > 1]
    in_turn = [axes[order[n]] for n in places]
    if in_turn != sorted(in_turn) or (places and places[-1] - places[0] >= len(places)):
        order = plain(value.ndim)
    return axes, order, e.array(value, order)


def _axes(letters: str, ellipsis: int) -> list[str]:
    """The letters one by one, and for each axis of an ellipsis a word of its own."""
    before, dots, after = letters.partition("...")
    return [*before, *(f"...{n}" for n in range(ellipsis if dots else 0)), *after]


def _written(axes: Sequence[str]) -> str:
    """The letters as an equation has them."""
    words = ["..." if len(axis) > 1 else axis for axis in axes]
    return "".join(word for n, word in enumerate(words) if word != "..." or words[:n].count("...") == 0)


def _result_order(operands: Sequence[tuple[list[str], Order, Any]], letters: list[str]) -> Order:
    """The order of the result: like that of the only operand that is not in torch's, or of all if they agree."""
    found = set()
    for axes, order, _ in operands:
        if order != plain(len(order)):
            found.add(tuple(_like([axes[axis] for axis in order], letters)))
    if len(found) != 1:
        return plain(len(letters))
    order = tuple(letters.index(axis) for axis in found.pop())
    dots = [axis for axis in order if len(letters[axis]) > 1]
    apart = bool(dots) and (dots != sorted(dots) or order.index(dots[-1]) - order.index(dots[0]) >= len(dots))
    return plain(len(letters)) if apart else order


def _like(template: list[str], letters: list[str]) -> list[str]:
    """The letters in the order of the template's, a new one in the place of each that is gone."""
    new = [letter for letter in letters if letter not in template]
    found: list[str] = []
    for letter in dict.fromkeys(template):
        if letter in letters:
            found.append(letter)
        elif new and len(letter) == 1:
            found.append(new.pop(0))
    return found + new


def equation_of(e: Emitter, equation: str, operands: Sequence[Value]) -> Out:
    """torch's einsum."""
    given, arrow, result = equation.replace(" ", "").partition("->")
    words = given.split(",")
    used = given.replace(",", "").replace("...", "")
    if not arrow:
        # Without an arrow, what occurs once is kept, in alphabetical order.
        result = ("..." if "..." in given else "") + "".join(sorted(x for x in set(used) if used.count(x) == 1))
    if len(operands) == 1 and "..." not in given and sorted(given) == sorted(result) == sorted({*given}):
        (value,) = operands
        return Out(e.array(value), tuple(result.index(given[axis]) for axis in e.order(value)))
    ellipsis = max(value.ndim - len(word.replace("...", "")) for word, value in zip(words, operands, strict=True))
    return contracted(e, list(zip(operands, words, strict=True)), result, ellipsis)


def matrices(e: Emitter, a: Value, b: Value) -> Out:
    """The product of matrices with the same axes before them, by letters: n and m for places, c, d and e for features.

    Of an operand whose axes are not in torch's order, the last in the array is that of the features.
    """
    ndim = max(a.ndim, b.ndim)
    batch = _BATCH.get(ndim - 2, "abfghijlop"[: ndim - 2])
    ours, theirs = ((e.order(value)[-1], value.ndim, e.order(value) != plain(value.ndim)) for value in (a, b))
    # Whether rows, what is summed over, and columns are features; like what is summed over where nothing tells.
    summed = theirs[0] == theirs[1] - 2 if theirs[2] else ours[0] == ours[1] - 1
    rows = ours[0] == ours[1] - 2 if ours[2] else summed
    columns = theirs[0] == theirs[1] - 1 if theirs[2] else summed
    places = iter("nmk")
    row = "c" if rows else next(places)
    inner = "d" if summed else next(places)
    column = ("e" if summed else "d") if columns else next(places)
    one, two = (batch[len(batch) - (value.ndim - 2) :] for value in (a, b))
    return contracted(e, [(a, f"{one}{row}{inner}"), (b, f"{two}{inner}{column}")], f"{batch}{row}{column}")


def over_axes(e: Emitter, a: Value, b: Value, axes: tuple[Sequence[int], Sequence[int]]) -> Out:
    """torch's tensordot."""
    words = list(_ALL[: a.ndim])
    others = list(_ALL[a.ndim : a.ndim + b.ndim])
    left, right = ([axis % value.ndim for axis in some] for some, value in zip(axes, (a, b), strict=True))
    for here, there in zip(left, right, strict=True):
        others[there] = words[here]
    kept = [x for n, x in enumerate(words) if n not in left] + [x for n, x in enumerate(others) if n not in right]
    return contracted(e, [(a, "".join(words)), (b, "".join(others))], "".join(kept))
