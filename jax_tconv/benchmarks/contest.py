"""One layer, one mode, all contestants: make each ready, check its values, and time those that passed, interleaved."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import check
from .judge import reference_values
from .layers import Layer
from .peers import ours
from .peers.contestant import Contestant, NotApplicable
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
        outcome = partial(Outcome, contestant.name, contestant.family)
        try:
            prepared = contestant.prepare(layer, mode, arrays)
            errors = check.errors(prepared.results(), reference)
        except NotApplicable as error:
            outcomes[contestant.name] = outcome("not applicable", str(error))
            continue
        # Whatever another library raises is its result here, not the end of the run.
        except Exception as error:
            outcomes[contestant.name] = outcome("failed", f"{type(error).__name__}: {error}".split("\n")[0])
            continue
        wrong = check.disagreement(layer, errors, judge, settings.tf32)
        outcomes[contestant.name] = outcome(
            "wrong" if wrong else "timed", wrong, errors, prepared.compile_seconds, prepared.temporary_bytes
        )
        if not wrong:
            calls[contestant.name] = prepared.call
    step("time")
    timings = interleave(calls, settings.rounds, settings.seconds, after_round=lambda: step("time"))
    for name, timing in timings.items():
        outcomes[name] = dataclasses.replace(outcomes[name], timing=timing)
    return Result(layer, mode, ours.chosen(layer, mode), tuple(outcomes.values()), judge)
