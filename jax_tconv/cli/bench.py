"""`jax-tconv bench`: one layer timed on this machine, by every algorithm and every library that has the op."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Column, Table
from typer import Option

from jax_tconv._call.geometry import window
from jax_tconv.benchmarks import contest, layers, load, machine, peers
from jax_tconv.benchmarks.command import contests, entrants, names
from jax_tconv.benchmarks.peers import ours
from jax_tconv.benchmarks.peers.contestant import MODES
from jax_tconv.benchmarks.results import Result
from jax_tconv.benchmarks.timing import milliseconds
from jax_tconv.interop._tables import terminal_width

from . import layer_options as given
from .options import Json
from .output import heading, say, show_json

TITLES = {"forward": "The output", "training": "The output and both gradients"}
BOTH = "both"
# PyTorch, which is the judge, has no more.
MAX_DIMS = 3
# The parameters of `bench` that describe a layer.
WINDOW_OPTIONS = ("kernel", "stride", "padding", "output_padding", "dilation")
CHANNEL_OPTIONS = ("channels_in", "channels_out", "groups", "batch")
LAYER_OPTIONS = ("shape", "size", "dims", *WINDOW_OPTIONS, *CHANNEL_OPTIONS)


def bench(
    context: typer.Context,
    shape: given.Input = "",
    size: given.Size = "",
    kernel: given.Kernel = "",
    stride: given.Stride = "1",
    padding: given.Padding = "0",
    output_padding: given.OutputPadding = "0",
    dilation: given.Dilation = "1",
    groups: given.Groups = 1,
    channels_in: given.ChannelsIn = None,
    channels_out: given.ChannelsOut = 64,
    batch: given.Batch = None,
    dims: given.Dims = None,
    name: Annotated[
        str, Option("--layer", help="A layer of a published network, such as sam_up2; another name lists them.")
    ] = "",
    methods: Annotated[
        str, Option(help="This library's methods, with commas; None is its own choice. All, if left out.")
    ] = "",
    rivals: Annotated[str, Option("--peers", help=f"Of {', '.join(peers.FILES)}. All, if left out.")] = "",
    mode: Annotated[str, Option(help="forward, training (with both gradients) or both.")] = BOTH,
    quick: Annotated[bool, Option("--quick", help="Two short rounds, for a first look.")] = False,
    as_json: Json = False,
) -> None:
    """Time one layer on this machine: every method of this library, PyTorch, Flax, Equinox and jax.lax.

    A contestant whose values are wrong is not timed. What else the machine does is looked at before and during the run.

    Example: jax-tconv bench --input 1,128,64,64 --kernel 4 --stride 2 --padding 1 --channels-out 64

    Example: jax-tconv bench --layer sam_up2 --quick
    """
    layer = _published(name, context) if name else _described(context.params)
    modes = MODES if mode == BOTH else names(mode, (*MODES, BOTH), "mode")
    contestants = entrants(methods or ",".join(ours.NAMES), rivals or ",".join(peers.FILES))
    settings = contest.QUICK if quick else contest.Settings()
    machine.set_precision(tf32=False)
    here = machine.look()
    earlier = load.before()
    start = load.usage()
    results = [_for_users(result) for result in contests([layer], modes, contestants, settings, Console(stderr=True))]
    loads = {"before": earlier, "during": load.since(start)}
    if as_json:
        fields = {"layer": dataclasses.asdict(layer) | {"output": layer.output}, "machine": here}
        fields["load"] = {when: dataclasses.asdict(one) | {"busy": one.busy} for when, one in loads.items()}
        show_json(fields | {"settings": dataclasses.asdict(settings), "results": [_as_data(one) for one in results]})
    else:
        _show(layer, here, results, loads)
    broken = [f"{fault.name} ({one.mode}): {fault.reason}" for one in results for fault in one.faults]
    if broken:
        raise ValueError(f"a fault of jax_tconv's, please report it: {'; '.join(broken)}")


def _published(name: str, context: typer.Context) -> layers.Layer:
    """The layer of that name; ValueError if the command line also describes one."""
    sources = {option: context.get_parameter_source(option) for option in LAYER_OPTIONS}
    if any(source is not None and source.name == "COMMANDLINE" for source in sources.values()):
        raise ValueError("--layer names a whole layer: leave out the options that describe one, or leave out --layer")
    known = {layer.name: layer for layer in layers.load()}
    if name not in known:
        raise ValueError(f"unknown --layer {name!r}; known: {', '.join(known)}")
    return known[name]


def _described(options: Mapping[str, Any]) -> layers.Layer:
    """The layer that the options of the command line describe."""
    if not (options["shape"] or options["size"]) or not options["kernel"]:
        raise ValueError("give a layer: --input or --size, --kernel, and what else it has; or --layer with a name")
    found = given.input_shape(*(options[name] for name in ("shape", "size", "dims", "channels_in", "batch")))
    if options["padding"].isalpha():
        raise ValueError(
            f"--padding must be ints, as in PyTorch, which judges here; got {options['padding']}; "
            "jax-tconv explain says what that comes to"
        )
    values: dict[str, Any] = given.per_axis(
        found.dims, size=found.size, **{name: options[name] for name in WINDOW_OPTIONS}
    )
    if len(values["size"]) > MAX_DIMS:
        raise ValueError(f"a layer to time has at most {MAX_DIMS} spatial axes, got {len(values['size'])}")
    channels_out, groups = options["channels_out"], options["groups"]
    given.check_channels(found.channels, channels_out, groups, found.batch)
    # Raises what it raises for whoever calls the function.
    window(values["kernel"], **{name: values[name] for name in WINDOW_OPTIONS[1:]}).geometry(values["size"])
    values |= {"c_in": found.channels, "c_out": channels_out, "groups": groups, "batch": found.batch}
    return layers.Layer("yours", source="", input=values.pop("size"), **values)


def _for_users(result: Result) -> Result:
    """The fastest first, those that were not timed last; what the benchmark calls "ours" users know as jax_tconv."""
    named = [
        dataclasses.replace(outcome, name=outcome.name.replace("ours", "jax_tconv", 1))
        for outcome in sorted(result.outcomes, key=lambda outcome: outcome.seconds)
    ]
    return dataclasses.replace(result, outcomes=tuple(named))


def _as_data(result: Result) -> dict[str, Any]:
    fastest = result.outcomes[0].seconds
    contestants = [
        dataclasses.asdict(outcome) | {"times_fastest": outcome.seconds / fastest if outcome.timing else None}
        for outcome in result.outcomes
    ]
    return {"mode": result.mode, "chosen": result.chosen, "judge": result.judge, "contestants": contestants}


def _show(layer: layers.Layer, here: dict[str, Any], results: list[Result], loads: Mapping[str, load.Load]) -> None:
    console = Console(markup=False, highlight=False, width=terminal_width())
    described = {"input": layer.input, "kernel": layer.kernel} | layer.arguments | {"batch": layer.batch}
    numbers = ", ".join(f"{name} {','.join(map(str, np.atleast_1d(value)))}" for name, value in described.items())
    say(f"{layer.c_in} to {layer.c_out} channels, {numbers}; float32")
    say(f"{here['cpu']}, {here['cores']} cores; jax on {here['device']}, torch on {here['torch_device']}")
    for result in results:
        console.print()
        console.print(_table(result))
        choices = ", ".join(f"{method} for {op}" for op, method in result.chosen.items())
        say(f"jax_tconv's own choice: {choices}.")
    if any(one.busy for one in loads.values()):
        heading("This machine was busy")
        for when, one in loads.items():
            say(f"{when} the run: {_taken(one)}.", indent=2)
        say(
            "The times are too long, by an unknown factor; min is disturbed the least. Run it again on an idle machine."
        )
    judge = results[0].judge
    print()
    say("ms: the median over the rounds; min: the shortest call of all.")
    say("spread: the distance between the quartiles over the rounds, as a fraction of the median.")
    say(f"error: the largest difference from the values of {judge}, as a fraction of the largest of them.")
    if judge != "torch":
        say("PyTorch would be the better judge: pip install torch")
    missing = [outcome for result in results for outcome in result.outcomes if not outcome.timing]
    # Each reason once, even if both modes have it.
    for name, status, reason in dict.fromkeys((outcome.name, outcome.status, outcome.reason) for outcome in missing):
        say(f"{name} {'left out' if status == 'not applicable' else status}: {reason}")


def _taken(one: load.Load) -> str:
    """What others took, in words."""
    if one.others is None or one.stolen is None:
        return f"its load average is {one.average:.1f} on {one.cores} cores, this run included"
    stolen = f", and its host {one.stolen:.0%}" if one.stolen >= 0.01 else ""
    return f"other processes took {one.others:.0%} of its {one.cores} cores{stolen}"


def _table(result: Result) -> Table:
    numbers = [
        Column(name, justify="right") for name in ("ms", "min", "spread", "of the fastest", "compile s", "error")
    ]
    style: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "box": box.SIMPLE_HEAD}
    table = Table(Column("contestant", no_wrap=True), *numbers, title=TITLES[result.mode], **style)
    for outcome in result.outcomes:
        error = f"{max(outcome.errors):.0e}" if outcome.errors else ""
        if timing := outcome.timing:
            times = [timing.milliseconds, milliseconds(timing.minimum), f"{timing.spread:.0%}"]
            times.append(f"{timing.median / result.outcomes[0].seconds:.2f}")
            compiling = "" if outcome.compile_seconds is None else f"{outcome.compile_seconds:.2f}"
            table.add_row(outcome.name, *times, compiling, error)
        elif outcome.status != "not applicable":
            table.add_row(outcome.name, outcome.status, "", "", "", "", error, style="red")
    return table
