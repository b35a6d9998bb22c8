"""What a run leaves behind, and the figures that follow from it: ratios, their mean, the worst."""

import dataclasses
import math
import statistics
from dataclasses import dataclass
from typing import Any

from .layers import Layer
from .machine import Machine
from .timing import Timing

# Slower than another library in JAX by more than this counts as slower; less is noise.
TOLERANCE = 1.05


@dataclass(frozen=True)
class Outcome:
    """What became of one contestant: "timed", or "not applicable", "failed" or "wrong", with the reason."""

    name: str
    family: str
    status: str
    reason: str = ""
    errors: tuple[float, ...] = ()
    compile_seconds: float | None = None
    temporary_bytes: int | None = None
    timing: Timing | None = None

    @property
    def seconds(self) -> float:
        """The median; infinite if it was not timed."""
        return self.timing.median if self.timing else math.inf


@dataclass(frozen=True)
class Result:
    """All contestants on one layer in one mode; `judge` has the values that theirs were compared with."""

    layer: Layer
    mode: str
    chosen: dict[str, str]
    outcomes: tuple[Outcome, ...]
    judge: str = "torch"

    @property
    def ours(self) -> list[Outcome]:
        """This library's own outcomes, one for each method."""
        return [outcome for outcome in self.outcomes if outcome.family == "ours"]

    @property
    def faults(self) -> list[Outcome]:
        """Where this library itself was wrong or failed."""
        return [outcome for outcome in self.ours if outcome.status in ("wrong", "failed")]

    def best(self, family: str) -> Outcome | None:
        """The fastest of "torch" or "jax", but of "ours" the first asked for, as a user has it; None if not timed."""
        candidates = self.ours[:1] if family == "ours" else [o for o in self.outcomes if o.family == family]
        timed = [outcome for outcome in candidates if outcome.timing]
        return min(timed, key=lambda outcome: outcome.seconds, default=None)

    def ratio(self, family: str) -> float | None:
        """Our time over that of the best of a family; None where either is missing."""
        ours, other = self.best("ours"), self.best(family)
        return ours.seconds / other.seconds if ours and other else None

    def compute_bound(self, machine: Machine) -> bool:
        """Whether the products take longer, at the measured rates, than reading and writing each array once."""
        return self.layer.flops(self.mode) / machine.dot_rate > self.layer.traffic(self.mode) / machine.copy_rate

    def dot_share(self, machine: Machine) -> float | None:
        """Our arithmetic's rate as a part of the measured rate of matrix products."""
        ours = self.best("ours")
        return self.layer.flops(self.mode) / ours.seconds / machine.dot_rate if ours else None

    def as_json(self, machine: Machine) -> dict[str, Any]:
        """Everything, the derived figures too."""
        outcomes = {}
        for outcome in self.outcomes:
            entry = dataclasses.asdict(outcome)
            outcomes[entry.pop("name")] = entry
        return {
            "layer": dataclasses.asdict(self.layer),
            "mode": self.mode,
            "chosen": self.chosen,
            "judge": self.judge,
            "flops": self.layer.flops(self.mode),
            "traffic_bytes": self.layer.traffic(self.mode),
            "compute_bound": self.compute_bound(machine),
            "dot_share": self.dot_share(machine),
            "ratio_to_torch": self.ratio("torch"),
            "ratio_to_jax_peers": self.ratio("jax"),
            "contestants": outcomes,
        }


@dataclass(frozen=True)
class Summary:
    """The figures of one mode over all layers."""

    geomean: float | None
    worst: tuple[str, float] | None
    jax_geomean: float | None
    jax_worst: tuple[str, float] | None
    behind_jax_peers: dict[str, float]
    compute_bound_shares: dict[str, float]
    not_timed: tuple[tuple[str, str, str, str], ...]


def summarise(results: list[Result], machine: Machine) -> Summary:
    """The summary of results of one mode."""
    torch, jax = ({r.layer.name: v for r in results if (v := r.ratio(family))} for family in ("torch", "jax"))
    bound = [r for r in results if r.compute_bound(machine)]
    shares = {r.layer.name: share for r in bound if (share := r.dot_share(machine)) is not None}
    missing = [(r.layer.name, o.name, o.status, o.reason) for r in results for o in r.outcomes if o.status != "timed"]
    behind = {name: ratio for name, ratio in jax.items() if ratio > TOLERANCE}
    return Summary(*_mean_and_worst(torch), *_mean_and_worst(jax), behind, shares, tuple(missing))


def _mean_and_worst(ratios: dict[str, float]) -> tuple[float | None, tuple[str, float] | None]:
    if not ratios:
        return None, None
    return statistics.geometric_mean(ratios.values()), max(ratios.items(), key=lambda item: item[1])
