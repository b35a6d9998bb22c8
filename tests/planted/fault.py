"""A planted fault, what `verify` must say of it, and the check of both."""

import dataclasses
import functools
import re
from collections.abc import Callable

import torch

from tests.planted.pair import Pair

# What counts as a fault that shows: a hundred times the tolerance by which correct twins are judged here.
SHOWS = 1e-3
CORRECT = 1e-5


@dataclasses.dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
      name: what is wrong.
      make: the pair with the fault, or for False without it.
      places: torch's names of the layers of which the verdict must name one, where the fault lies between layers also
        the next of them; `"output"` for the model's output.
      first: the layers of which the first to differ must be one; the places, unless the fault lies elsewhere.
      argument: the argument that must be named, by Flax's name or by torch's.
      warning: whether it cannot show in evaluation, and must be a warning.
      shows: whether the outputs differ by more than correct ones do; if not, it is the argument alone.
      says: what else the verdict must say, as regular expressions.
    """

    name: str
    make: Callable[[bool], Pair]
    places: tuple[str, ...]
    first: tuple[str, ...]
    argument: tuple[str, ...] = ()
    warning: bool = False
    shows: bool = True
    says: tuple[str, ...] = ()

    def pair(self, wrong: bool) -> Pair:
        """The pair, made once: `verify` leaves it as it was."""
        return _made(self.make, wrong)


@functools.cache
def _made(make: Callable[[bool], Pair], wrong: bool) -> Pair:
    torch.manual_seed(0)
    return make(wrong)


def planted(
    table: list[Fault], *places: str, first: tuple[str, ...] = (), **fields: object
) -> Callable[[Callable], Callable]:
    """Adds the decorated function to the table, under its name."""

    def add(make: Callable[[bool], Pair]) -> Callable[[bool], Pair]:
        table.append(Fault(make.__name__, make, places, first or places, **fields))
        return make

    return add


def names(text: str, place: str) -> bool:
    """Whether the text names the place: a number only counts in quotes."""
    if place.isdigit():
        return re.search(rf"""['"`]{place}['"`]""", text) is not None
    return re.search(rf"(?<![\w.]){re.escape(place)}(?!\w|\.\w)", text) is not None


def check_named(fault: Fault) -> None:
    """Asserts that `verify` refuses the faulty twin, or warns of it, and names the place."""
    found = fault.pair(True).verify()
    verdict, table = found.verdict, str(found)
    named = [d for d in found.arguments if d.layer in fault.places and d.argument in fault.argument]
    if fault.argument:
        assert named, table
        assert any(names(text, argument) for argument in fault.argument for text in (verdict, table)), table
        assert fault.warning or any(names(verdict, argument) for argument in fault.argument), verdict
        assert {d.severity for d in named} == {"warning" if fault.warning else "error"}, table
        assert all(d.torch != d.flax for d in named), table
    assert found.ok == fault.warning, table
    if fault.warning:
        assert not [d for d in found.arguments if d.severity == "error"], table
        assert found.first_difference is None, table
    if fault.places == ("output",):
        assert "output" in verdict.lower(), verdict
        layers = {layer.name for layer in found.layers if layer.name}
        assert found.first_difference is None or found.first_difference.name not in layers, table
    else:
        assert fault.warning or any(names(verdict, place) for place in fault.places), verdict
        assert any(names(table, place) for place in fault.places), table
        assert found.first_difference is None or found.first_difference.name in fault.first, table
    if not fault.argument and fault.places != ("output",):
        assert found.first_difference is not None, table
    for words in fault.says:
        assert re.search(words, verdict), verdict


def check_fault(fault: Fault) -> None:
    """Asserts, without `verify`, that the twin is right but for the fault, and that the fault is one."""
    assert fault.pair(False).difference() < CORRECT
    difference = fault.pair(True).difference()
    assert difference > SHOWS if fault.shows else difference < SHOWS
    assert fault.shows or fault.argument


def check_accepted(pair: Pair) -> None:
    """Asserts that `verify` accepts the pair, and has no remark on its arguments."""
    found = pair.verify()
    assert found.ok, f"{found}\n{found.verdict}"
    assert found.first_difference is None
    assert not found.arguments, str(found)
