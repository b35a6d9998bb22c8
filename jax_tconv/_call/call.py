"""One call as ints: the three arrays, the three ops that join them, and every size. The rules derive from this table.

    x  the input          (N, *input_size, I)
    w  the kernel         (*kernel_size, I, O // groups)
    y  the output         (N, *output_size, O)

The channels behave as in a matrix product `y[N, O] = x[N, I] w[I, O]`: each letter joins two of the arrays, and an op
sums over the letter that its two operands share. The channels of x and y, and I in w, are ordered by group.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

from jax_tconv._call.arguments import DataFormat, IntOrInts, Padding, check_name, integer, is_int, listed
from jax_tconv._call.geometry import Geometry, window

Op: TypeAlias = Literal["forward", "input_gradient", "kernel_gradient"]
Role: TypeAlias = Literal["x", "w", "y"]

OPS: tuple[Op, ...] = get_args(Op)
OPERANDS: dict[Op, tuple[Role, Role]] = {
    "forward": ("x", "w"),
    "input_gradient": ("y", "w"),
    "kernel_gradient": ("x", "y"),
}
RESULT: dict[Op, Role] = {"forward": "y", "input_gradient": "x", "kernel_gradient": "w"}
OP_COMPUTING: dict[Role, Op] = {role: op for op, role in RESULT.items()}

AXES: dict[Role, dict[str, int]] = {"x": {"N": 0, "I": -1}, "w": {"I": -2, "O": -1}, "y": {"N": 0, "O": -1}}
GROUPED_LETTER: dict[Role, str] = {"x": "I", "w": "I", "y": "O"}


def shared_letter(role: Role, other: Role) -> str:
    """The letter that joins two of the arrays."""
    (letter,) = AXES[role].keys() & AXES[other].keys()
    return letter


def grouped_axis(role: Role) -> int:
    """The axis of array `role` that is ordered by group."""
    return AXES[role][GROUPED_LETTER[role]]


@dataclasses.dataclass(frozen=True)
class Call:
    """One transposed convolution, or one of its adjoints, as ints; `c_in` and `c_out` count all groups' channels.

    `batch_shape` has the sizes of the caller's batch axes, symbolic or None where they are not known; `channel_axis`
    says where the caller has the channels; `several_devices`, whether the compiler will split the call over some;
    `whole`, whether the methods take the image whole. `dtype` is the operands', `result_dtype` the result's.
    """

    geometry: Geometry
    c_in: int
    c_out: int
    batch_shape: tuple[Any, ...]
    channel_axis: int = -1
    several_devices: bool = False
    whole: bool = False
    dtype: str = "float32"
    result_dtype: str = "float32"

    @classmethod
    def of(cls, op: Op, a: Sequence[Any], b: Sequence[Any], geometry: Geometry, **rest: Any) -> "Call":
        """The call in which `op` has operands of these shapes, in the canonical layout."""
        shapes = dict(zip(OPERANDS[op], (a, b), strict=True))
        c_in = shapes["x"][-1] if "x" in shapes else shapes["w"][-2]
        c_out = shapes["y"][-1] if "y" in shapes else shapes["w"][-1] * geometry.groups
        # The batch leads each operand but the kernel, which is never the first.
        return cls(geometry, c_in, c_out, (a[0],), **rest)

    def shape(self, role: Role) -> tuple[Any, ...]:
        """The shape of an array in the canonical layout."""
        sizes = self.geometry
        match role:
            case "x":
                return (self.batch, *sizes.input_size, self.c_in)
            case "w":
                return (*sizes.kernel_size, self.c_in, self.group_out)
            case _:
                return (self.batch, *sizes.output_size, self.c_out)

    @property
    def batch(self) -> Any:
        """All batch axes as one."""
        return math.prod(self.batch_shape)

    @property
    def known_batch(self) -> int:
        """The same, where a size that is not known counts as one."""
        return math.prod(size for size in self.batch_shape if isinstance(size, int))

    @property
    def group_in(self) -> int:
        """The input channels of one group."""
        return self.c_in // self.geometry.groups

    @property
    def group_out(self) -> int:
        """The output channels of one group."""
        return self.c_out // self.geometry.groups

    @property
    def taps(self) -> int:
        """How many taps the kernel has on all axes together."""
        return math.prod(self.geometry.kernel_size)

    def of_one_group(self) -> "Call":
        """The same with one group's channels, and no groups."""
        return dataclasses.replace(self.with_groups(1), c_in=self.group_in, c_out=self.group_out)

    def with_groups(self, groups: int) -> "Call":
        """The same channels in another number of groups."""
        return dataclasses.replace(self, geometry=self.geometry.with_groups(groups))


def checked_call(
    x_shape: Sequence[Any],
    kernel_shape: Sequence[int],
    *,
    stride: IntOrInts,
    padding: Padding,
    output_padding: IntOrInts,
    output_size: IntOrInts | None,
    dilation: IntOrInts,
    groups: int,
    data_format: DataFormat = "channels_last",
) -> Call:
    """Checks the arguments of `conv_transpose`, its arrays given by their shapes; TypeError or ValueError as there."""
    check_name("data_format", data_format, get_args(DataFormat))
    n_axes = _spatial_axes(x_shape, kernel_shape)
    channel_axis = -1 if data_format == "channels_last" else -n_axes - 1
    groups = integer("groups", groups, least=1)
    _check_channels(x_shape, channel_axis, kernel_shape, groups)
    arguments = window(
        kernel_shape[:n_axes], stride=stride, padding=padding, output_padding=output_padding, dilation=dilation
    )
    spatial = _spatial_part(tuple(x_shape), len(x_shape), n_axes, channel_axis)
    geometry = arguments.geometry(spatial, _spatial_part(output_size, len(x_shape), n_axes, channel_axis), groups)
    batch_shape = tuple(x_shape[: len(x_shape) - n_axes - 1])
    return Call(geometry, kernel_shape[-2], kernel_shape[-1] * groups, batch_shape, channel_axis)


def _spatial_axes(x_shape: Sequence[Any], kernel_shape: Sequence[int]) -> int:
    """The number of spatial axes; ValueError if the kernel has none, or x has fewer than the kernel."""
    n_axes = len(kernel_shape) - 2
    if n_axes < 1:
        raise ValueError(
            "kernel must have shape (*kernel_size, in, out // groups) with at least one spatial axis, "
            f"got {tuple(kernel_shape)}"
        )
    if len(x_shape) < n_axes + 1:
        raise ValueError(
            f"x must have {n_axes} spatial axes, as the kernel of shape {tuple(kernel_shape)} has, and a channel axis; "
            f"got shape {tuple(x_shape)}"
        )
    return n_axes


def _check_channels(x_shape: Sequence[Any], channel_axis: int, kernel_shape: Sequence[int], groups: int) -> None:
    """ValueError unless the channels of x are those that the kernel takes, and split into `groups`."""
    channels, (c_in, c_out) = x_shape[channel_axis], kernel_shape[-2:]
    if channels != c_in:
        other = "channels_last" if channel_axis != -1 else "channels_first"
        other_axis = -1 if channel_axis != -1 else 1 - len(kernel_shape)
        hint = f'; data_format="{other}" would take it' if x_shape[other_axis] == c_in else ""
        if channels == c_in * groups:
            hint += "; in, on the kernel's axis -2, counts the channels of all groups"
        if kernel_shape[0] in (channels, x_shape[other_axis]):
            hint += "; a PyTorch weight becomes a kernel by jax_tconv.interop.kernel_from_torch"
        raise ValueError(
            f"x of shape {tuple(x_shape)} has {channels} channels (axis {channel_axis}), but the kernel takes {c_in}: "
            f"its shape is (*kernel_size, in, out // groups) = {tuple(kernel_shape)}{hint}"
        )
    if not c_in or not c_out:
        raise ValueError(f"kernel must have at least one channel in and out, got shape {tuple(kernel_shape)}")
    if c_in % groups:
        raise ValueError(f"groups must divide the {c_in} input channels, got {groups}")


def _spatial_part(output_size: Any, x_rank: int, n_axes: int, channel_axis: int) -> Any:
    """The spatial entries of `output_size`, where it is a full shape of x's rank; as it is, where it is not."""
    if output_size is None or is_int(output_size):
        return output_size
    values = tuple(listed("output_size", output_size))
    if len(values) != x_rank:
        return values
    return values[-n_axes:] if channel_axis != -1 else values[-n_axes - 1 : -1]
