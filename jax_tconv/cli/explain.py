"""`jax-tconv explain`: what one layer does to sizes, which algorithm computes it, and where its kernel overlaps."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import jax
from typer import Option

from jax_tconv import Op, select_method
from jax_tconv._call.geometry import window
from jax_tconv.interop._tables import terminal_width

from . import figure, options
from . import layer_options as given
from .axes import FORMULA, NAMED_FORMULA, Explained, explain_axes, last_two
from .output import heading, say, show_json
from .terminal import shading, wiring

OPS: dict[Op, str] = {
    "forward": "the output",
    "input_gradient": "the gradient in the input",
    "kernel_gradient": "the gradient in the kernel",
}


def explain(
    kernel: given.Kernel,
    shape: given.Input = "",
    size: given.Size = "",
    stride: given.Stride = "1",
    padding: given.AnyPadding = "0",
    output_padding: given.OutputPadding = "0",
    output_size: Annotated[str | None, Option(help="Output size to reach, in place of an output padding.")] = None,
    dilation: given.Dilation = "1",
    groups: given.Groups = 1,
    channels_in: given.ChannelsIn = None,
    channels_out: given.ChannelsOut = 64,
    batch: given.Batch = None,
    dims: given.Dims = None,
    platform: Annotated[str | None, Option(help="cpu, cuda, rocm or tpu; this machine's if left out.")] = None,
    draw: Annotated[Path | None, Option(help="Draw into this file: .png, .svg or .pdf.")] = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Explain a layer: its output size, the algorithm that computes it, and whether its kernel makes checkerboards.

    Example: jax-tconv explain --kernel 4 --stride 2 --padding 1 --size 32

    Example: jax-tconv explain --kernel 3 --stride 2 --padding SAME --input 1,64,32,32
    """
    if draw is not None:
        figure.check(draw, force)
    found = given.input_shape(shape, size, dims, channels_in, batch)
    named = {"size": found.size, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    named |= {"output_padding": output_padding} | ({} if output_size is None else {"output_size": output_size})
    padding_name = given.named_padding(padding)
    if padding_name:
        del named["padding"]
    values: dict[str, Any] = given.per_axis(found.dims, **named)
    values |= {"padding": padding_name} if padding_name else {}
    given.check_channels(found.channels, channels_out, groups, found.batch)
    wanted_size = values.pop("output_size", None)
    arguments: dict[str, Any] = {k: values[k] for k in ("stride", "padding", "output_padding", "dilation")}
    geometry = window(values["kernel"], **arguments).geometry(values["size"], wanted_size)

    on: Any = platform or jax.default_backend()
    x_shape = (found.batch, *values["size"], found.channels)
    kernel_shape = (*values["kernel"], found.channels, channels_out // groups)
    choices = {
        op: select_method(
            x_shape, kernel_shape, **arguments, output_size=wanted_size, groups=groups, op=op, platform=on
        )
        for op in OPS
    }
    explained = explain_axes(geometry, bool(padding_name))
    pair = last_two(explained)
    if draw is not None:
        figure.write(draw, explained, pair)
    formula = NAMED_FORMULA if padding_name else FORMULA
    if as_json:
        layer = values | {"channels_in": found.channels, "channels_out": channels_out}
        layer |= {"groups": groups, "batch": found.batch}
        methods = {op: dataclasses.asdict(choice) for op, choice in choices.items()}
        document = {"layer": layer, "output_size": geometry.output_size, "formula": formula}
        document |= {"axes": [one.as_data() for one in explained], "platform": on, "methods": methods}
        show_json(document)
        return
    for one in explained:
        _show_size(one, formula)
    heading(f"Methods on {on}, {found.channels} to {channels_out} channels")
    for op, choice in choices.items():
        method, *details = str(choice).removeprefix(op).splitlines()
        say(f"{OPS[op]}{method}", indent=2)
        for line in details:
            say(line.strip(), indent=4)
    for one in explained:
        _show_overlap(one)
    if pair:
        heading("Overlap on the last two axes together: the counts multiply")
        print(shading(*pair, terminal_width()))
    if draw is not None:
        print(f"\nwrote {draw}")


def _show_size(one: Explained, formula: str) -> None:
    heading(f"Output size{one.place}: {one.axis.output_size}")
    say(formula, indent=2)
    say("= " + " + ".join(term.numbers for term in one.terms).replace("+ -", "-"), indent=6)
    for term in one.terms:
        say(f"{term.name:<23} {term.value:>6}   {term.meaning}", indent=2)
    print(f"  {'out':<23} {one.axis.output_size:>6}")


def _show_overlap(one: Explained) -> None:
    heading(f"Overlap{one.place}")
    say(one.overlap.verdict)
    start, end = one.overlap.border
    if start or end:
        say(f"Rows near the border that differ from this: {start} at the start, {end} at the end.")
    print()
    say(f"The tap (0 to {one.axis.kernel_size - 1}) that joins an input row to an output row:")
    print(wiring(one.axis, one.overlap, terminal_width()))
