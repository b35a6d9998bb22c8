"""Rules as a table that a person can read: ordered rows for each op, the first whose condition holds decides."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from jax_tconv._call.arguments import Method
from jax_tconv._call.call import Call, Op


class Condition(NamedTuple):
    """What a row asks of a call, in words and as a function."""

    words: str
    holds: Callable[[Call], bool]


class Rule(NamedTuple):
    """One row: the method for the calls that no row above takes.

    `method` is None where the rows decide about one group, and each is computed on its own; or, with `packs`, about the
    groups merged into that many. `measured` names a layer and what it takes so and otherwise.
    """

    when: Condition
    method: Method | None
    because: str
    measured: str = ""
    packs: Callable[[Call], int] | None = None


Rules: TypeAlias = Mapping[Op, tuple[Rule, ...]]

OTHERWISE = Condition("otherwise", lambda call: True)


def deciding(rows: Sequence[Rule], call: Call) -> Rule:
    """The row that decides."""
    return next(rule for rule in rows if rule.when.holds(call))


def cells(rule: Rule) -> tuple[str, str, str, str]:
    """A row in words: condition, method, reason, measurement."""
    method = rule.method or ("as without groups, in packs" if rule.packs else "as one group, group by group")
    return rule.when.words, method, rule.because, rule.measured
