"""What a run prints: a table for each mode, and below it the mean, the worst, and everything that is not in order."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table

from .machine import Machine
from .results import TOLERANCE, Outcome, Result, Summary, summarise
from .timing import SLOW_FACTOR, SLOW_ROUNDS

# Quartiles further apart than this are marked.
NOISY = 0.1
RIVALS = {"torch": "torch", "jax": "the best JAX peer"}
NOTES = (
    "ratio: our time over the other's; under 1 is faster. torch: the better of its two layouts.",
    f"~: the quartiles over the rounds are more than {NOISY:.0%} of the median apart.",
    f"Whoever is more than {SLOW_FACTOR:.0f} times slower than the fastest gets {SLOW_ROUNDS} rounds.",
    "dot: our arithmetic's rate, as a part of the best matrix product's; bold where a layer is compute-bound: "
    "its products, at that rate, take longer than reading and writing each array once.",
    "temp: what our compiled program allocates besides its arguments and results. compile: tracing included.",
)


def show(console: Console, results: list[Result], machine: Machine) -> None:
    """Prints the tables of all modes, their summaries and the notes."""
    for mode in dict.fromkeys(result.mode for result in results):
        of_mode = [result for result in results if result.mode == mode]
        console.print(_table(mode, of_mode, machine))
        if len(of_mode[0].ours) > 1:
            console.print(_methods(mode, of_mode))
        _show_summary(console, mode, summarise(of_mode, machine))
    for note in NOTES:
        console.print(note, style="dim")


def line(result: Result) -> str:
    """One result in a line, for those who watch the run."""
    ours = _milliseconds(result.best("ours"))
    against = ", ".join(f"{_ratio(result.ratio(family))} of {name}'s" for family, name in RIVALS.items())
    return f"{result.layer.name} {result.mode}: {ours} ms, {against}"


def _table(mode: str, results: list[Result], machine: Machine) -> Table:
    numbers = ("ours ms", "torch ms", "ratio", "JAX peer ms", "ratio", "dot", "temp MB", "compile s")
    table = _titled("forward" if mode == "forward" else "training: forward and both gradients", numbers)
    table.add_column("methods " + "/".join(results[0].chosen))
    for result in results:
        ours, torch, jax = (result.best(family) for family in ("ours", "torch", "jax"))
        share = result.dot_share(machine)
        percent = "-" if share is None else f"{share:.0%}"
        table.add_row(
            result.layer.name,
            _milliseconds(ours),
            _milliseconds(torch, named=True),
            _ratio(result.ratio("torch")),
            _milliseconds(jax, named=True),
            _ratio(result.ratio("jax"), TOLERANCE),
            f"[bold]{percent}[/]" if result.compute_bound(machine) else percent,
            "-" if not ours or ours.temporary_bytes is None else f"{ours.temporary_bytes / 2**20:.1f}",
            "-" if not ours or ours.compile_seconds is None else f"{ours.compile_seconds:.2f}",
            "/".join(result.chosen.values()),
        )
    return table


def _titled(title: str, numbers: Sequence[str]) -> Table:
    columns = (Column(name, justify="right") for name in numbers)
    return Table("layer", *columns, title=title, title_justify="left", title_style="bold")


def _methods(mode: str, results: list[Result]) -> Table:
    table = _titled(f"{mode}: our methods, ms", [outcome.name for outcome in results[0].ours])
    for result in results:
        best = min(outcome.seconds for outcome in result.ours)
        cells = []
        for outcome in result.ours:
            text = _milliseconds(outcome) if outcome.timing else outcome.status
            cells.append(f"[green]{text}[/]" if outcome.timing and outcome.seconds == best else text)
        table.add_row(result.layer.name, *cells)
    return table


def _show_summary(console: Console, mode: str, summary: Summary) -> None:
    if summary.geomean is not None and summary.worst is not None:
        name, ratio = summary.worst
        console.print(f"{mode}, ours / torch: geometric mean {_ratio(summary.geomean)}, worst {_ratio(ratio)} ({name})")
    if summary.jax_geomean is not None and summary.jax_worst is not None:
        name, ratio = summary.jax_worst
        mean, worst = _ratio(summary.jax_geomean), _ratio(ratio, TOLERANCE)
        console.print(f"{mode}, ours / best JAX peer: geometric mean {mean}, worst {worst} ({name})")
        behind = ", ".join(f"{name} {ratio:.2f}" for name, ratio in summary.behind_jax_peers.items())
        verdict = f"[red]{behind}[/]" if behind else "[green]none[/]"
        console.print(f"{mode}, layers where a JAX peer is more than {TOLERANCE - 1:.0%} faster: {verdict}")
    if summary.compute_bound_shares:
        name, share = min(summary.compute_bound_shares.items(), key=lambda item: item[1])
        count = len(summary.compute_bound_shares)
        console.print(f"{mode}, share of the dot rate on {count} compute-bound layers: lowest {share:.0%} ({name})")
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for layer, name, status, reason in summary.not_timed:
        reasons.setdefault((name, status, reason), []).append(layer)
    for (name, status, reason), layers in reasons.items():
        style = "dim" if status == "not applicable" else "red"
        line = f"{mode}, {name} not timed on {', '.join(layers)}: {status}: {reason}"
        console.print(line, style=style, markup=False, soft_wrap=True)
    console.print()


def _milliseconds(outcome: Outcome | None, named: bool = False) -> str:
    if outcome is None or outcome.timing is None:
        return "-"
    name = f" {outcome.name.removeprefix('torch ')}" if named else ""
    noisy = "~" if outcome.timing.spread > NOISY else ""
    return f"{noisy}{outcome.timing.milliseconds}{name}"


def _ratio(ratio: float | None, limit: float = 1.0) -> str:
    if ratio is None:
        return "-"
    return f"[{'green' if ratio <= limit else 'red'}]{ratio:{'.2f' if ratio >= 0.1 else '.2g'}}[/]"
