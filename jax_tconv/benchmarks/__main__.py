"""The command line: `run` times all contestants on all layers, `scaling` how our cost grows."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from . import contest, layers, machine, peers, report
from .command import names, progress_bar
from .layers import BadInput
from .peers import ours
from .peers.contestant import MODES
from .results import Result, summarise

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help=__doc__)

Out = Annotated[Path, typer.Option("--out", help="Folder for the JSON and the chart.")]
DEFAULT_OUT = Path("bench_output")
# For each size of an axis.
SCALING_SECONDS = 0.3


@app.command()
def run(
    file: Annotated[Path, typer.Option("--layers", help="JSON file with the layers.")] = layers.LAYERS,
    only: Annotated[str, typer.Option(help="Names of layers, with commas; all if left out.")] = "",
    modes: Annotated[str, typer.Option(help="forward, training or both.")] = ",".join(MODES),
    methods: Annotated[str, typer.Option(help="Our methods; None is the library's choice.")] = ours.CHOSEN,
    rivals: Annotated[str, typer.Option("--peers", help=f"Of {', '.join(peers.FILES)}.")] = ",".join(peers.DEFAULT),
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which each contestant is timed.")] = 7,
    quick: Annotated[bool, typer.Option(help="2 short rounds, for a first look.")] = False,
    tf32: Annotated[bool, typer.Option(help="On a GPU, let all contestants multiply in TF32.")] = False,
    out: Out = DEFAULT_OUT,
) -> None:
    """Times ours, torch and the peers in JAX, side by side, checking every result first."""
    console = _console()
    every = layers.load(file)
    wanted = names(only, [layer.name for layer in every], "layer") if only else [layer.name for layer in every]
    selected = [layer for layer in every if layer.name in wanted]
    chosen_modes = names(modes, MODES, "mode")
    entrants = ours.contestants(names(methods, ours.NAMES, "method"))
    entrants += peers.find(names(rivals, tuple(peers.FILES), "peer"))
    settings = dataclasses.replace(contest.QUICK if quick else contest.Settings(rounds), tf32=tf32)

    machine.set_precision(tf32)
    here = machine.inspect()
    report.show_machine(console, here)
    out.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    with progress_bar(console) as progress:
        task = progress.add_task("", total=len(selected) * len(chosen_modes) * contest.steps(entrants, settings))
        for mode in chosen_modes:
            for layer in selected:

                def step(text: str, layer: layers.Layer = layer, mode: str = mode) -> None:
                    progress.update(task, advance=1, description=f"{layer.name} {mode}: {text}")

                results.append(contest.hold(layer, mode, entrants, settings, step))
                progress.console.print(report.line(results[-1]))
                # After each, so that a run that is broken off leaves what it had.
                _write(out / "benchmark.json", _document(here, settings, results))
    report.show(console, results, here)
    console.print(f"wrote {out / 'benchmark.json'}", soft_wrap=True)
    if any(result.ratio("torch") for result in results):
        from . import chart

        chart.draw(results, here, out / "benchmark.png")
        console.print(f"wrote {out / 'benchmark.png'}", soft_wrap=True)
    broken = [
        f"{outcome.name} on {result.layer.name} ({result.mode}): {outcome.reason}"
        for result in results
        for outcome in result.outcomes
        if outcome.family == "ours" and outcome.status in ("wrong", "failed")
    ]
    if broken:
        raise SystemExit(f"FAILED: {'; '.join(broken)}")


@app.command()
def scaling(
    only: Annotated[str, typer.Option(help="Kinds of layers, with commas; all if left out.")] = "",
    modes: Annotated[str, typer.Option(help="forward, training or both.")] = ",".join(MODES),
    doublings: Annotated[int, typer.Option(min=1, help="How often each axis is doubled.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which each size is timed.")] = 5,
    out: Out = DEFAULT_OUT,
) -> None:
    """Times our layers of each kind while batch, rows and channels double, and follows their memory."""
    from . import scaling

    console = _console()
    known = [layer.name for layer in scaling.KINDS]
    wanted = names(only, known, "kind") if only else known
    chosen_modes = names(modes, MODES, "mode")
    machine.set_precision(tf32=False)
    here = machine.inspect()
    report.show_machine(console, here)
    out.mkdir(parents=True, exist_ok=True)
    (contestant,) = ours.contestants([ours.CHOSEN])
    growths: list[scaling.Growth] = []
    pairs = [(layer, mode) for layer in scaling.KINDS if layer.name in wanted for mode in chosen_modes]
    with progress_bar(console) as progress:
        task = progress.add_task("", total=sum(len(scaling.axes(layer)) for layer, _ in pairs))
        for layer, mode in pairs:
            progress.update(task, description=f"{layer.name} {mode}")
            for growth in scaling.measure(layer, mode, contestant, doublings, rounds, SCALING_SECONDS):
                growths.append(growth)
                progress.update(task, advance=1)
                entries = [dataclasses.asdict(growth) | {"excess": growth.excess} for growth in growths]
                _write(out / "scaling.json", {"machine": dataclasses.asdict(here), "growths": entries})
    scaling.show(console, growths)
    console.print(f"wrote {out / 'scaling.json'}", soft_wrap=True)


def _document(here: machine.Machine, settings: contest.Settings, results: list[Result]) -> dict[str, Any]:
    modes = dict.fromkeys(result.mode for result in results)
    return {
        "machine": dataclasses.asdict(here),
        "settings": dataclasses.asdict(settings),
        "notes": report.NOTES,
        "summary": {
            mode: dataclasses.asdict(summarise([r for r in results if r.mode == mode], here)) for mode in modes
        },
        "results": [result.as_json(here) for result in results],
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")


def _console() -> Console:
    # A file has no width; the table has.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 150)


def main() -> int:
    """Runs the command; what the user got wrong is one line and the exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
