"""The padding of a Flax layer by what it means: rows at each end of each axis, for sizes of the input that matter."""

from typing import Any

import jax
from flax import linen as nn
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx

_OURS = (jax_tconv.linen.ConvTranspose, jax_tconv.nnx.ConvTranspose)
_FLAX = (nn.ConvTranspose, nnx.ConvTranspose)
_CONV = (nn.Conv, nnx.Conv)


def rows(layer: Any, padding: Any, input_size: tuple[int, ...]) -> Any:
    """The rows of padding at this size of the input, or the name of a padding that is none of zeros.

    `(low, high)` on each axis; of a transposed convolution the rows cut off at the start: those at the end follow from
    the output's size.
    """
    n = len(input_size)
    kernel = per_axis(layer.kernel_size, n)
    steps, dilation = per_axis(layer.strides, n), per_axis(layer.kernel_dilation, n)
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if isinstance(layer, _OURS + _FLAX):
        return _cut(layer, padding, extents, steps)
    if padding in ("SAME", "VALID"):
        return tuple(jax.lax.padtype_to_pads(input_size, extents, steps, padding))
    if padding == "CAUSAL":
        return ((extents[0] - 1, 0),)
    return padding if isinstance(padding, str) else _pairs(padding, n)


def _cut(layer: Any, padding: Any, extents: list[int], steps: tuple[int, ...]) -> Any:
    # As jax.lax.conv_transpose has the names.
    if padding == "SAME":
        return tuple(max(extent - step, 0) // 2 for extent, step in zip(extents, steps, strict=True))
    if padding == "VALID":
        return (0,) * len(extents)
    if isinstance(padding, str):
        return padding
    low = [pair[0] for pair in _pairs(padding, len(extents))]
    # Flax's own adds these rows to the stuffed input.
    return tuple(low) if isinstance(layer, _OURS) else tuple(e - 1 - p for e, p in zip(extents, low, strict=True))


def _pairs(padding: Any, n: int) -> tuple[tuple[int, int], ...]:
    values = (padding,) * n if isinstance(padding, int) else tuple(padding)
    return tuple((v, v) if isinstance(v, int) else (int(v[0]), int(v[1])) for v in values)


def per_axis(value: Any, n: int) -> tuple[int, ...]:
    """An argument of a convolution, one int per axis; None is 1, as in Flax."""
    if value is None:
        return (1,) * n
    return (value,) * n if isinstance(value, int) else tuple(value)
