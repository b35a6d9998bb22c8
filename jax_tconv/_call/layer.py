"""The arguments of the linen and the nnx layer, checked under Flax's names for them."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jax_tconv._call import arguments
from jax_tconv._call.arguments import IntOrInts, Method, Padding, integer
from jax_tconv._call.geometry import Window, window

_NAMES = {"stride": "strides", "dilation": "kernel_dilation"}


def checked_window(
    kernel_size: IntOrInts,
    strides: IntOrInts | None,
    padding: Padding,
    kernel_dilation: IntOrInts | None,
    output_padding: IntOrInts,
    *,
    method: Method | None,
    precision: Any,
    transpose_kernel: bool | None,
) -> Window:
    """The layer's arguments, spelled out (None counts as 1, as in Flax); TypeError or ValueError for a bad one."""
    if transpose_kernel is not None:
        raise ValueError(
            f"transpose_kernel must be left out, got {transpose_kernel!r}: the kernel is PyTorch's, unreversed, of "
            "shape (*kernel_size, in, out // groups). To keep a Flax layer's numbers, pass its kernel through "
            "jax_tconv.interop.kernel_from_flax(kernel, transpose_kernel=...)"
        )
    arguments.check_method(method)
    arguments.canonical_precision(precision)
    return window(
        kernel_size,
        stride=1 if strides is None else strides,
        padding=padding,
        output_padding=output_padding,
        dilation=1 if kernel_dilation is None else kernel_dilation,
        names=_NAMES,
    )


def kernel_shape(kernel_size: Sequence[int], channels: dict[str, Any], feature_group_count: Any) -> tuple[int, ...]:
    """`(*kernel_size, in, out // groups)`, where `channels` holds in and out, each under what the user knows it by.

    Raises TypeError or ValueError where a number of channels is no positive int, or does not split into the groups.
    """
    groups = integer("feature_group_count", feature_group_count, least=1)
    for name, value in channels.items():
        if integer(name, value, least=1) % groups:
            raise ValueError(f"{name} must be a multiple of feature_group_count={groups}, got {value}")
    c_in, c_out = channels.values()
    return (*kernel_size, c_in, c_out // groups)


def checked_inputs(inputs: ArrayLike, n_axes: int, in_features: int | None = None) -> jax.Array:
    """`inputs` as an array of `(*batch, *spatial, in_features)`; TypeError or ValueError where it is not one."""
    array = arguments.float_array("inputs", inputs)
    if array.ndim < n_axes + 1:
        raise ValueError(
            f"inputs must have shape (*batch, *spatial, features) with {n_axes} spatial axes, got {array.shape}"
        )
    if in_features is not None and array.shape[-1] != in_features:
        raise ValueError(
            f"inputs must have in_features={in_features} channels on the last axis, got shape {array.shape}"
        )
    return array


def check_mask(mask: Any, shape: tuple[int, ...]) -> None:
    """ValueError unless `mask` is None or has the kernel's shape."""
    if mask is not None and getattr(mask, "shape", None) != shape:
        raise ValueError(f"mask must be an array of the kernel's shape {shape}, got {getattr(mask, 'shape', mask)!r}")


def prelu(inputs: jax.Array, slopes: jax.Array) -> jax.Array:
    """`inputs` where they are positive, and elsewhere times a slope: one for all channels, the last axis, or one each.

    ValueError for another number of slopes.
    """
    if slopes.shape != (1,) and inputs.shape[-1:] != slopes.shape:
        raise ValueError(
            f"inputs must have num_parameters={len(slopes)} channels on the last axis, got shape {inputs.shape}"
        )
    return jnp.where(inputs > 0, inputs, slopes.astype(inputs.dtype) * inputs)
