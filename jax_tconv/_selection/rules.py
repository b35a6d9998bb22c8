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

    `method` is None where each group is computed on its own, by what the rows say of one group. `measured` names a
    layer and what it takes so and otherwise.
    """

    when: Condition
    method: Method | None
    because: str
    measured: str = ""


Rules: TypeAlias = Mapping[Op, tuple[Rule, ...]]

OTHERWISE = Condition("otherwise", lambda call: True)
DEPTHWISE = Condition(
    "several groups, of one channel in and out", lambda call: call.c_in == call.c_out == call.geometry.groups > 1
)
SEVERAL_DEVICES = Condition("split over several devices", lambda call: call.several_devices)
GROUPS_ON_SEVERAL_DEVICES = Condition(
    "several groups, split over several devices", lambda call: call.several_devices and call.geometry.groups > 1
)
DEPTHWISE_ON_SEVERAL_DEVICES = Condition(
    f"{DEPTHWISE.words}, split over several devices", lambda call: call.several_devices and DEPTHWISE.holds(call)
)
# These split by batch, rows, channels out and whole groups, and move no more than the halo.
SPLIT_GROUPS = "the products of all groups at once, which are split by rows and by groups"


def deciding(rows: Sequence[Rule], call: Call) -> Rule:
    """The row that decides."""
    return next(rule for rule in rows if rule.when.holds(call))


def cells(rule: Rule) -> tuple[str, str, str, str]:
    """A row in words: condition, method, reason, measurement."""
    method = rule.method or "as one group, group by group"
    return rule.when.words, method, rule.because, rule.measured
