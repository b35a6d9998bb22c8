"""The options that describe one layer, which `explain` and `bench` share, and what they mean axis by axis."""

from typing import Annotated, NamedTuple

from typer import Option

# Text, since each is an int or a list of ints.
Input = Annotated[
    str, Option("--input", help="The input's whole shape in PyTorch: 1,64,32,32 is batch, channels, spatial sizes.")
]
Size = Annotated[str, Option("--size", help="The input's spatial sizes alone: 32, or 32,24 for two axes.")]
Kernel = Annotated[str, Option(help="Kernel size; here and below, one int for all axes or one per axis: 4,4.")]
Stride = Annotated[str, Option(help="Stride.")]
Padding = Annotated[str, Option(help="Rows cut off at both ends, as in PyTorch.")]
AnyPadding = Annotated[str, Option("--padding", help="Rows cut off at both ends, as in PyTorch; or SAME, or VALID.")]
OutputPadding = Annotated[str, Option(help="Rows added at the end.")]
Dilation = Annotated[str, Option(help="Distance between the taps of the kernel.")]
Groups = Annotated[int, Option(help="Groups of channels, each convolved on its own.")]
ChannelsIn = Annotated[int | None, Option(help="Channels of the input; if left out, those of --input, or 64.")]
ChannelsOut = Annotated[int, Option(help="Channels of the output.")]
Batch = Annotated[int | None, Option(help="Images in a batch; if left out, as in --input, or 1.")]
Dims = Annotated[int | None, Option(min=1, help="Spatial axes; if left out, as many as the longest list has, else 2.")]

# What most layers have, if nothing says how many axes there are.
DEFAULT_DIMS, DEFAULT_CHANNELS = 2, 64
NAMED_PADDINGS = ("SAME", "VALID")
# What may be 0.
FROM_ZERO = ("padding", "output_padding")


class InputShape(NamedTuple):
    """What `--input`, or `--size` and others in its place, say of the input; `dims` is None if nothing says it."""

    size: str
    dims: int | None
    channels: int
    batch: int


def input_shape(shape: str, size: str, dims: int | None, channels_in: int | None, batch: int | None) -> InputShape:
    """The input that `--input` or `--size` gives; ValueError unless it is one of them, and the others agree with it."""
    if bool(shape) == bool(size):
        raise ValueError(
            f"give the input {'only once' if shape else 'too'}: its whole shape in PyTorch, as in --input 1,64,32,32, "
            "or its spatial sizes alone, as in --size 32,32"
        )
    if size:
        return InputShape(
            size, dims, DEFAULT_CHANNELS if channels_in is None else channels_in, 1 if batch is None else batch
        )
    sizes = ints("--input", shape)
    if len(sizes) < 3:
        raise ValueError(
            "--input must be the whole shape in PyTorch, batch, channels and spatial sizes, such as 1,64,32,32; "
            f"got {shape}; spatial sizes alone are --size {shape}"
        )
    result = InputShape(",".join(map(str, sizes[2:])), len(sizes) - 2, sizes[1], sizes[0])
    also = {"dims": (dims, result.dims), "channels_in": (channels_in, result.channels), "batch": (batch, result.batch)}
    for name, (given, found) in also.items():
        if given not in (None, found):
            raise ValueError(
                f"{_flag(name)} {given} contradicts --input {shape}, which makes it {found}; leave one out"
            )
    return result


def per_axis(dims: int | None, **options: str) -> dict[str, tuple[int, ...]]:
    """The options' values, one int per spatial axis; ValueError names an option that cannot be read."""
    form = "an int, or one int per axis as in 4,4"
    values = {name: ints(_flag(name), text, form, name not in FROM_ZERO) for name, text in options.items()}
    longest = max(values, key=lambda name: len(values[name]))
    if dims is None:
        dims = len(values[longest]) if len(values[longest]) > 1 else DEFAULT_DIMS
    for name, found in values.items():
        if len(found) not in (1, dims):
            count = "an int for the one spatial axis" if dims == 1 else f"an int or {dims} ints, one per spatial axis"
            raise ValueError(f"{_flag(name)} must be {count}; got {options[name]}")
    return {name: found if len(found) == dims else found * dims for name, found in values.items()}


def named_padding(text: str) -> str | None:
    """SAME or VALID if that is the padding, however it is capitalized; None for ints, ValueError for another word."""
    if not text.isalpha():
        return None
    if text.upper() not in NAMED_PADDINGS:
        raise ValueError(f"--padding must be an int, one int per axis as in 4,4, SAME or VALID; got {text}")
    return text.upper()


def ints(
    option: str, text: str, form: str = "ints separated by commas, such as 1,3,64,64", least: int = 1
) -> tuple[int, ...]:
    """`1,3,64,64` as a tuple; ValueError, with the form that the option must have, for any other text."""
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{option} must be {form}; got {text!r}") from None
    if min(found) < least:
        raise ValueError(f"{option} must be {'positive' if least else 'at least 0'}, got {text}")
    return found


def check_channels(channels_in: int, channels_out: int, groups: int, batch: int) -> None:
    """ValueError unless all are positive and the groups divide the channels."""
    numbers = {"channels_in": channels_in, "channels_out": channels_out, "groups": groups, "batch": batch}
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"{_flag(name)} must be at least 1, got {value}")
    for words, channels in (("input", channels_in), ("output", channels_out)):
        if channels % groups:
            raise ValueError(f"--groups must divide the {channels} channels of the {words}, got {groups}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
