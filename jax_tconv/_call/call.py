"""A call of the op as shapes and ints: what `conv_transpose` and `select_method` both make of their arguments."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from jax_tconv._call.arguments import IntOrInts, Padding, integer
from jax_tconv._call.checks import check_channels, check_name, check_ranks, spatial_part
from jax_tconv._call.geometry import Geometry, window

DATA_FORMATS = ("channels_last", "channels_first")


@dataclasses.dataclass(frozen=True)
class Problem:
    """One call in the canonical layout; `batch_shape` may hold symbolic sizes."""

    geometry: Geometry
    batch_shape: tuple[Any, ...]
    c_in: int
    c_out: int
    channel_axis: int

    @property
    def batch(self) -> Any:
        """All batch axes as one."""
        return math.prod(self.batch_shape)


def problem(
    x_shape: Sequence[Any],
    kernel_shape: Sequence[int],
    *,
    stride: IntOrInts,
    padding: Padding,
    output_padding: IntOrInts,
    output_size: IntOrInts | None,
    dilation: IntOrInts,
    groups: int,
    data_format: str,
) -> Problem:
    """Checks the arguments of `conv_transpose`, its arrays given by their shapes; TypeError or ValueError as there."""
    check_name("data_format", data_format, DATA_FORMATS)
    n_axes = check_ranks(x_shape, kernel_shape)
    channel_axis = -1 if data_format == "channels_last" else -n_axes - 1
    groups = integer("groups", groups, least=1)
    check_channels(x_shape, channel_axis, kernel_shape, groups)
    arguments = window(
        kernel_shape[:n_axes], stride=stride, padding=padding, output_padding=output_padding, dilation=dilation
    )
    spatial = spatial_part(tuple(x_shape), len(x_shape), n_axes, channel_axis)
    geometry = arguments.geometry(spatial, spatial_part(output_size, len(x_shape), n_axes, channel_axis), groups)
    batch_shape = tuple(x_shape[: len(x_shape) - n_axes - 1])
    return Problem(geometry, batch_shape, kernel_shape[-2], kernel_shape[-1] * groups, channel_axis)
