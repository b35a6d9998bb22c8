"""Compiles every layer for GPUs and TPUs that are not there: the rules' choices (`check`) or every method (`sweep`)."""

import itertools
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from jax_tconv._call.call import OPS
from tests.accelerators import bars, table
from tests.accelerators.compiling import CHIPS
from tests.accelerators.layers import LAYERS
from tests.accelerators.running import Job, run

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help=__doc__)
console = Console(width=120, highlight=False)

METHODS = {
    "forward": ("lhs_dilation", "im2col", "taps", "subpixel", "col2im"),
    "input_gradient": ("lhs_dilation", "taps", "subpixel", "col2im"),
    "kernel_gradient": ("lhs_dilation", "taps", "subpixel", "col2im"),
}
ENVIRONMENTS = Path("build/accelerators")

Chips = Annotated[str, typer.Option(help=f"Of {', '.join(CHIPS)}, with commas.")]
Dtypes = Annotated[str, typer.Option(help="With commas.")]
Batches = Annotated[str, typer.Option(help="With commas; 0 is the layer's own.")]
Only = Annotated[str, typer.Option(help="Names of layers, with commas; all if left out.")]
Out = Annotated[Path, typer.Option("--out", help="File for what was found, a line each; what it has is not compiled.")]


@app.command()
def check(
    chips: Chips = "h200,v5e,v6e",
    dtypes: Dtypes = "float32,bfloat16",
    batches: Batches = "0",
    only: Only = "",
    out: Out = ENVIRONMENTS / "check.jsonl",
) -> None:
    """Compiles what the rules choose, prints each program's line, and exits with 1 where a bar is broken."""
    jobs = _jobs(chips, dtypes, batches, only, dict.fromkeys(OPS, (None,)))
    results = _found(jobs, out)
    for heading, rows in table.by_chip(results):
        shown = Table(*table.COLUMNS, title=f"{heading}: times the roofline")
        for row in rows:
            shown.add_row(*row)
        console.print(shown)
    broken = bars.broken(results)
    for words in broken:
        console.print(words, soft_wrap=True)
    console.print(f"{len(results)} programs, {len(broken)} bars broken")
    sys.exit(bool(broken))


@app.command()
def report(files: list[Path], docs: Path = Path("docs/accelerators.md")) -> None:
    """Writes what `check` found, class by class of layer, into the page of the docs."""
    results = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    blocks = [part for heading, rows in table.by_chip(results) for part in (heading, table.markdown(rows))]
    before, mark, after = docs.read_text().partition("<!-- results -->\n")
    _, end, after = after.partition("<!-- end -->")
    docs.write_text(before + mark + "\n" + "\n\n".join(blocks) + "\n\n" + end + after)


@app.command()
def sweep(
    chips: Chips = "v5e",
    dtypes: Dtypes = "float32,bfloat16",
    batches: Batches = "1,16",
    only: Only = "",
    out: Out = ENVIRONMENTS / "sweep.jsonl",
) -> None:
    """Compiles every method of every layer, and writes what the best of them takes to best.json."""
    results = _found(_jobs(chips, dtypes, batches, only, METHODS), out)
    bars.write(bars.best_of(results))
    console.print(f"wrote {bars.BEST}")


def _jobs(chips: str, dtypes: str, batches: str, only: str, methods: Any) -> list[Job]:
    layers = only.split(",") if only else [layer.name for layer in LAYERS]
    kinds = itertools.product(chips.split(","), dtypes.split(","), map(int, batches.split(",")), OPS, layers)
    return [
        {"chip": chip, "dtype": dtype, "batch": batch, "op": op, "layer": layer, "method": method}
        for chip, dtype, batch, op, layer in kinds
        for method in methods[op]
    ]


def _found(jobs: list[Job], out: Path) -> list[Job]:
    """What came of every job, in order: read from the file, or compiled and added to it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = out.read_text().splitlines() if out.exists() else []
    known = {_name(result): result for result in map(json.loads, lines)}
    with out.open("a") as file:
        for platform, environment in (("cuda", "gpu"), ("tpu", "tpu")):
            left = [job for job in jobs if _name(job) not in known and CHIPS[job["chip"]].platform == platform]
            for result in run(ENVIRONMENTS / environment / "bin" / "python", left):
                known[_name(result)] = result
                console.print(table.line(result), soft_wrap=True)
                file.write(json.dumps(result) + "\n")
                file.flush()
    return [known[_name(job)] for job in jobs]


def _name(job: Job) -> tuple[Any, ...]:
    return tuple(job[name] for name in ("chip", "dtype", "batch", "op", "layer", "method"))


if __name__ == "__main__":
    app()
