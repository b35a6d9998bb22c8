"""One layer, one mode, all contestants: make each ready, check its values, and time those that passed, interleaved."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import check
from .judge import reference_values
from .layers import Arrays, Layer
from .peers import ours
from .peers.contestant import Contestant, NotApplicable, Prepared
from .results import Outcome, Result
from .timing import interleave


@dataclass(frozen=True)
class Settings:
    """How long and how exactly to measure; `seconds` is the time for each contestant on a layer in a mode."""

    rounds: int = 7
    seconds: float = 0.7
    tf32: bool = False
    seed: int = 0


# For a first look.
QUICK = Settings(rounds=2, seconds=0.1)


def hold(
    layer: Layer,
    mode: str,
    contestants: list[Contestant],
    settings: Settings,
    step: Callable[[str], object] = lambda _: None,
) -> Result:
    """Runs the contest; calls `step` with what comes next before each contestant's preparation and each round."""
    arrays = layer.draw(settings.seed)
    judge, reference = reference_values(layer, mode, arrays)
    outcomes: dict[str, Outcome] = {}
    calls: dict[str, Callable[[], object]] = {}
    for contestant in contestants:
        step(f"compile and check {contestant.name}")
        outcome, prepared = _enter(contestant, layer, mode, arrays, judge, reference, settings.tf32)
        outcomes[contestant.name] = outcome
        if prepared:
            calls[contestant.name] = prepared.call
    step("time")
    timings = interleave(calls, settings.rounds, settings.seconds, after_round=lambda: step("time"))
    for name, timing in timings.items():
        outcomes[name] = dataclasses.replace(outcomes[name], timing=timing)
    return Result(layer, mode, ours.chosen(layer, mode), tuple(outcomes.values()), judge)


def steps(contestants: list[Contestant], settings: Settings) -> int:
    """How often `hold` calls `step`."""
    return len(contestants) + 1 + settings.rounds


def _enter(
    contestant: Contestant,
    layer: Layer,
    mode: str,
    arrays: Arrays,
    judge: str,
    reference: tuple[np.ndarray, ...],
    tf32: bool,
) -> tuple[Outcome, Prepared | None]:
    # Whatever another library raises is its result here, not the end of the run.
    try:
        prepared = contestant.prepare(layer, mode, arrays)
        found = check.errors(prepared.results(), reference)
    except NotApplicable as error:
        return Outcome(contestant.name, contestant.family, "not applicable", str(error)), None
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
        return Outcome(contestant.name, contestant.family, "failed", reason), None
    wrong = check.disagreement(layer, found, judge, tf32)
    outcome = Outcome(
        contestant.name,
        contestant.family,
        "wrong" if wrong else "timed",
        wrong or "",
        found,
        prepared.compile_seconds,
        prepared.temporary_bytes,
    )
    return outcome, None if wrong else prepared
