"""The options that describe one layer, which `explain` and `bench` share, and what they mean axis by axis."""

from typing import Annotated

import typer

# Text, since each is an int or a list of ints.
Input = Annotated[str, typer.Option("--input", help="Spatial size of the input, such as 32, or 32,24 for two axes.")]
Kernel = Annotated[str, typer.Option(help="Kernel size; here and below, one int for all axes or one per axis: 4,4.")]
Stride = Annotated[str, typer.Option(help="Stride.")]
Padding = Annotated[str, typer.Option(help="Rows cut off at both ends, as in PyTorch.")]
OutputPadding = Annotated[str, typer.Option(help="Rows added at the end.")]
Dilation = Annotated[str, typer.Option(help="Distance between the taps of the kernel.")]
Groups = Annotated[int, typer.Option(help="Groups of channels, each convolved on its own.")]
ChannelsIn = Annotated[int, typer.Option(help="Channels of the input.")]
ChannelsOut = Annotated[int, typer.Option(help="Channels of the output.")]
Batch = Annotated[int, typer.Option(help="Images in a batch.")]
Dims = Annotated[
    int | None, typer.Option(min=1, help="Spatial axes; if left out, as many as the longest list has, else 2.")
]

# What most layers have, if nothing says how many axes there are.
DEFAULT_DIMS = 2


def per_axis(dims: int | None, **options: str) -> dict[str, tuple[int, ...]]:
    """The options' values, one int per spatial axis; ValueError names an option that cannot be read."""
    values = {name: _ints(name, text) for name, text in options.items()}
    longest = max(values, key=lambda name: len(values[name]))
    if dims is None:
        dims = len(values[longest]) if len(values[longest]) > 1 else DEFAULT_DIMS
    for name, found in values.items():
        if min(found) < 0:
            raise ValueError(f"{_flag(name)} must not be negative, got {options[name]}")
        if len(found) not in (1, dims):
            raise ValueError(f"{_flag(name)} must be an int or {dims} ints, one per axis; got {options[name]}")
    return {name: found if len(found) == dims else found * dims for name, found in values.items()}


def check_channels(channels_in: int, channels_out: int, groups: int, batch: int) -> None:
    """ValueError unless all are positive and the groups divide the channels."""
    numbers = {"channels_in": channels_in, "channels_out": channels_out, "groups": groups, "batch": batch}
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"{_flag(name)} must be at least 1, got {value}")
    for name in ("channels_in", "channels_out"):
        if numbers[name] % groups:
            raise ValueError(f"--groups must divide the {numbers[name]} of {_flag(name)}, got {groups}")


def _ints(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{_flag(name)} must be an int, or one int per axis as in 4,4; got {text!r}") from None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
