"""Timing several functions against each other so that what else the machine does falls on all of them alike."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

# A call longer than this is timed once a round: what a second one would add is not worth waiting for.
LONG_CALL = 0.5
LEAST_CALLS = 3
# A call longer than this needs none before it that is not timed: next to it, what that one waits for is nothing.
VERY_LONG_CALL = 5.0
# After the first round, what is so many times slower than the fastest gets only so many rounds in all.
SLOW_FACTOR = 20.0
SLOW_ROUNDS = 2


@dataclass(frozen=True)
class Timing:
    """Seconds a call: the median over the rounds' medians, their quartiles, and the shortest call of all."""

    median: float
    low: float
    high: float
    rounds: int
    calls: int
    minimum: float

    @property
    def spread(self) -> float:
        """How far the quartiles are apart, as a part of the median."""
        return (self.high - self.low) / self.median

    @property
    def milliseconds(self) -> str:
        """The median as text, with three digits."""
        return milliseconds(self.median)


def milliseconds(seconds: float) -> str:
    """A time as text, with three digits."""
    return f"{seconds * 1e3:{'.3g' if seconds < 1 else '.0f'}}"


def interleave(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    seconds: float,
    *,
    slow_factor: float = SLOW_FACTOR,
    clock: Callable[[], float] = time.perf_counter,
    after_round: Callable[[], object] = lambda: None,
) -> dict[str, Timing]:
    """Times functions that run to completion, each for about `seconds` in all, spread over `rounds` rounds.

    Each round visits every function, starting one further each time, so that none is always timed first.
    """
    medians: dict[str, list[float]] = {name: [] for name in functions}
    calls = dict.fromkeys(functions, 0)
    minima = dict.fromkeys(functions, float("inf"))
    names = deque(functions)
    for number in range(rounds):
        for name in names:
            if number >= SLOW_ROUNDS and medians[name][0] > slow_factor * min(first[0] for first in medians.values()):
                continue
            taken = _visit(functions[name], seconds / rounds, clock)
            medians[name].append(statistics.median(taken))
            calls[name] += len(taken)
            minima[name] = min(minima[name], *taken)
        names.rotate(-1)
        after_round()
    summaries = {}
    for name, values in medians.items():
        low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
        summaries[name] = Timing(median, low, high, len(values), calls[name], minima[name])
    return summaries


def _visit(function: Callable[[], object], budget: float, clock: Callable[[], float]) -> list[float]:
    # Not counted: another library's threads may still spin, waiting for work, and take the cores.
    start = clock()
    function()
    first = clock() - start
    if first > VERY_LONG_CALL:
        return [first]
    taken: list[float] = []
    while len(taken) < LEAST_CALLS or sum(taken) < budget:
        start = clock()
        function()
        taken.append(clock() - start)
        if taken[0] > LONG_CALL:
            break
    return taken
