"""The command line: `run` times all contestants on all layers, `scaling` how our cost grows."""

import dataclasses
import itertools
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from . import contest, layers, machine, peers, report
from .command import contests, entrants, names, progress_bar, watched
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
    selected = _selected(only, layers.load(file), "layer")
    chosen_modes = names(modes, MODES, "mode")
    contestants = entrants(methods, rivals)
    settings = dataclasses.replace(contest.QUICK if quick else contest.Settings(rounds), tf32=tf32)
    console, here = _begin(out, tf32)
    results: list[Result] = []
    terminal = watched(console)
    for result in contests(selected, chosen_modes, contestants, settings, terminal):
        terminal.print(report.line(result))
        results.append(result)
        # After each, so that a run that is broken off leaves what it had.
        _write(out / "benchmark.json", _document(here, settings, results))
    report.show(console, results, here)
    console.print(f"wrote {out / 'benchmark.json'}", soft_wrap=True)
    if any(result.ratio("torch") for result in results):
        from . import chart

        chart.draw(results, here, out / "benchmark.png")
        console.print(f"wrote {out / 'benchmark.png'}", soft_wrap=True)
    broken = [f"{fault.name} on {r.layer.name} ({r.mode}): {fault.reason}" for r in results for fault in r.faults]
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

    pairs = list(itertools.product(_selected(only, scaling.KINDS, "kind"), names(modes, MODES, "mode")))
    console, here = _begin(out, tf32=False)
    (contestant,) = ours.contestants([ours.CHOSEN])
    growths: list[scaling.Growth] = []
    with progress_bar(watched(console)) as progress:
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


def _selected(only: str, known: list[layers.Layer], what: str) -> list[layers.Layer]:
    """The layers of these names, all of them if there are none."""
    wanted = names(only, [layer.name for layer in known], what) if only else None
    return [layer for layer in known if wanted is None or layer.name in wanted]


def _begin(out: Path, tf32: bool) -> tuple[Console, machine.Machine]:
    """Makes the folder, and measures and shows the machine."""
    machine.set_precision(tf32)
    here = machine.inspect()
    # A file has no width; the table has.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    console.print(f"{here.cpu}, {here.cores} cores; jax on {here.device}, torch on {here.torch_device}")
    console.print(", ".join(f"{name} {version}" for name, version in here.versions.items()))
    console.print(f"dot {here.dot_rate / 1e9:.0f} GFLOP/s, copy {here.copy_rate / 1e9:.1f} GB/s\n")
    out.mkdir(parents=True, exist_ok=True)
    return console, here


def _document(here: machine.Machine, settings: contest.Settings, results: list[Result]) -> dict[str, Any]:
    by_mode = {mode: [r for r in results if r.mode == mode] for mode in dict.fromkeys(r.mode for r in results)}
    return {
        "machine": dataclasses.asdict(here),
        "settings": dataclasses.asdict(settings),
        "notes": report.NOTES,
        "summary": {mode: dataclasses.asdict(summarise(found, here)) for mode, found in by_mode.items()},
        "results": [result.as_json(here) for result in results],
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")


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
