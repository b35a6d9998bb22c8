"""`jax-tconv explain`: what one layer does to sizes, which algorithm computes it, and where its kernel overlaps."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import jax
from rich.console import Console
from typer import Option

from jax_tconv import Choice, Op, select_method
from jax_tconv._call.geometry import window

from . import figure
from . import layer_options as given
from .axes import FORMULA, Explained, explain_axes, last_two
from .options import Json
from .output import show_json
from .overlap import Overlap
from .terminal import shading, wiring

OPS: dict[Op, str] = {
    "forward": "the output",
    "input_gradient": "the gradient in the input",
    "kernel_gradient": "the gradient in the kernel",
}


def explain(
    kernel: given.Kernel,
    size: given.Input,
    stride: given.Stride = "1",
    padding: given.Padding = "0",
    output_padding: given.OutputPadding = "0",
    output_size: Annotated[str | None, Option(help="Output size to reach, in place of an output padding.")] = None,
    dilation: given.Dilation = "1",
    groups: given.Groups = 1,
    channels_in: given.ChannelsIn = 64,
    channels_out: given.ChannelsOut = 64,
    batch: given.Batch = 1,
    dims: given.Dims = None,
    platform: Annotated[str | None, Option(help="cpu, cuda, rocm or tpu; this machine's if left out.")] = None,
    draw: Annotated[Path | None, Option(help="Draw into this file: .png, .svg or .pdf.")] = None,
    as_json: Json = False,
) -> None:
    """Explain a layer: its output size, the algorithm that computes it, and whether its kernel makes checkerboards.

    Example: jax-tconv explain --kernel 4 --stride 2 --padding 1 --input 32
    """
    named = {"input": size, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    named |= {"output_padding": output_padding} | ({} if output_size is None else {"output_size": output_size})
    values = given.per_axis(dims, **named)
    given.check_channels(channels_in, channels_out, groups, batch)
    wanted_size = values.pop("output_size", None)
    arguments: dict[str, Any] = {k: values[k] for k in ("stride", "padding", "output_padding", "dilation")}
    geometry = window(values["kernel"], **arguments).geometry(values["input"], wanted_size)

    on: Any = platform or jax.default_backend()
    shapes = ((batch, *values["input"], channels_in), (*values["kernel"], channels_in, channels_out // groups))
    choices = {
        op: select_method(*shapes, **arguments, output_size=wanted_size, groups=groups, op=op, platform=on)
        for op in OPS
    }
    explained = explain_axes(geometry)
    pair = last_two(explained)
    if draw is not None:
        figure.write(draw, explained, pair)
    if as_json:
        layer = values | {"channels_in": channels_in, "channels_out": channels_out, "groups": groups, "batch": batch}
        methods = {op: dataclasses.asdict(choice) for op, choice in choices.items()}
        document = {"layer": layer, "output_size": geometry.output_size, "formula": FORMULA}
        document |= {"axes": [one.as_data() for one in explained], "platform": on, "methods": methods}
        show_json(document)
        return
    heading = f"Methods on {on}, {channels_in} to {channels_out} channels"
    _show(explained, heading, choices, pair)
    if draw is not None:
        print(f"\nwrote {draw}")


def _show(
    explained: list[Explained], heading: str, choices: Mapping[Op, Choice], pair: tuple[Overlap, Overlap] | None
) -> None:
    console = Console(markup=False, highlight=False)
    for one in explained:
        console.print(f"\nOutput size{one.place}: {one.axis.output_size}", style="bold")
        print(f"  {FORMULA}")
        print("      = " + " + ".join(term.numbers for term in one.terms).replace("+ -", "-"))
        for term in one.terms:
            print(f"  {term.name:<23} {term.value:>6}   {term.meaning}")
        print(f"  {'out':<23} {one.axis.output_size:>6}")
    console.print(f"\n{heading}", style="bold")
    for op, choice in choices.items():
        method, *details = str(choice).removeprefix(op).splitlines()
        console.print(f"  {OPS[op]}{method}\n" + "\n".join(f"  {line}" for line in details))
    for one in explained:
        console.print(f"\nOverlap{one.place}", style="bold")
        console.print(one.overlap.verdict)
        start, end = one.overlap.border
        if start or end:
            console.print(f"Rows near the border that differ from this: {start} at the start, {end} at the end.")
        print(f"\nThe tap (0 to {one.axis.kernel_size - 1}) that joins an input row to an output row:")
        print(wiring(one.axis, one.overlap))
    if pair:
        console.print("\nOverlap on the last two axes together: the counts multiply", style="bold")
        print(shading(*pair))
