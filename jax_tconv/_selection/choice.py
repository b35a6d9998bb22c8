"""What a rule answers: a method, how it is applied, and why."""

import dataclasses
import functools
from collections.abc import Callable

import jax

from jax_tconv._methods import METHODS
from jax_tconv._methods.grouping import by_group


@dataclasses.dataclass(frozen=True)
class Choice:
    """The method that computes an op, and why.

    `by_group` says that it does so group by group, `whole` that it takes the image whole where it would otherwise take
    a few rows at a time.
    """

    op: str
    method: str
    reason: str
    by_group: bool = False
    whole: bool = False

    @property
    def compute(self) -> Callable[..., jax.Array]:
        """The function that computes the op; `jax_tconv.methods` says what it takes."""
        function: Callable[..., jax.Array] = getattr(METHODS[self.method], self.op)
        function = functools.partial(function, whole=True) if self.whole else function
        return by_group(self.op, function) if self.by_group else function
