"""The options that describe one layer, which `explain` and `bench` share, and what they mean axis by axis."""

from typing import Annotated

from typer import Option

# Text, since each is an int or a list of ints.
Input = Annotated[str, Option("--input", help="Spatial size of the input, such as 32, or 32,24 for two axes.")]
Kernel = Annotated[str, Option(help="Kernel size; here and below, one int for all axes or one per axis: 4,4.")]
Stride = Annotated[str, Option(help="Stride.")]
Padding = Annotated[str, Option(help="Rows cut off at both ends, as in PyTorch.")]
OutputPadding = Annotated[str, Option(help="Rows added at the end.")]
Dilation = Annotated[str, Option(help="Distance between the taps of the kernel.")]
Groups = Annotated[int, Option(help="Groups of channels, each convolved on its own.")]
ChannelsIn = Annotated[int, Option(help="Channels of the input.")]
ChannelsOut = Annotated[int, Option(help="Channels of the output.")]
Batch = Annotated[int, Option(help="Images in a batch.")]
Dims = Annotated[int | None, Option(min=1, help="Spatial axes; if left out, as many as the longest list has, else 2.")]

# What most layers have, if nothing says how many axes there are.
DEFAULT_DIMS = 2


def per_axis(dims: int | None, **options: str) -> dict[str, tuple[int, ...]]:
    """The options' values, one int per spatial axis; ValueError names an option that cannot be read."""
    form = "an int, or one int per axis as in 4,4"
    values = {name: ints(_flag(name), text, form) for name, text in options.items()}
    longest = max(values, key=lambda name: len(values[name]))
    if dims is None:
        dims = len(values[longest]) if len(values[longest]) > 1 else DEFAULT_DIMS
    for name, found in values.items():
        if min(found) < 0:
            raise ValueError(f"{_flag(name)} must not be negative, got {options[name]}")
        if len(found) not in (1, dims):
            raise ValueError(f"{_flag(name)} must be an int or {dims} ints, one per axis; got {options[name]}")
    return {name: found if len(found) == dims else found * dims for name, found in values.items()}


def ints(option: str, text: str, form: str = "ints separated by commas, such as 1,3,64,64") -> tuple[int, ...]:
    """`1,3,64,64` as a tuple; ValueError, with the form that the option must have, for any other text."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{option} must be {form}; got {text!r}") from None


def check_channels(channels_in: int, channels_out: int, groups: int, batch: int) -> None:
    """ValueError unless all are positive and the groups divide the channels."""
    numbers = {"channels_in": channels_in, "channels_out": channels_out, "groups": groups, "batch": batch}
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"{_flag(name)} must be at least 1, got {value}")
    for name in ("channels_in", "channels_out"):
        if numbers[name] % groups:
            raise ValueError(f"--groups must divide the {numbers[name]} of {_flag(name)}, got {groups}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
