"""PyTorch's interpolate: which rows each row of the output is made of, along one axis after the other."""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jax_tconv._call.arguments import check_name, is_int, listed
from jax_tconv._functional import resizing_rows
from jax_tconv._functional.adaptive import adaptive_avg_pool
from jax_tconv._functional.combining import combined
from jax_tconv._functional.inputs import array, floats, maps, sizes, spatial_axes, wide

Mode: TypeAlias = Literal["nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"]

_AXES = {"nearest": None, "nearest-exact": None, "linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2, "area": None}


def interpolate(
    x: ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: Mode = "nearest",
    align_corners: bool = False,
    recompute_scale_factor: bool = False,
    antialias: bool = False,
) -> jax.Array:
    """Maps of another size, with the values of PyTorch's `interpolate` (which its `Upsample` is).

    `jax.image.resize` has half-pixel centres and antialiasing only, Keys's cubic with another constant, and sizes for
    scales. As in torch, a `scale_factor` is the distance between samples too, even where the sizes would give another,
    unless `recompute_scale_factor`.

    Args:
      x: `(batch, *spatial, channels)`, of a floating dtype, or any for the nearest modes. The mode's name says how many
        axes are spatial; else a sequence of sizes or factors does; else all but the first and the last are. There may
        be any number of batch axes.
      size: the size of the output, an int, or one per spatial axis.
      scale_factor: instead of `size`, what to multiply the sizes by, rounded down: a number, or one per spatial axis.
      mode: `"nearest"` (rounding down, as PyTorch always has), `"nearest-exact"`, `"linear"`, `"bilinear"`,
        `"trilinear"`, `"bicubic"`, or `"area"` (`adaptive_avg_pool`).
      align_corners: whether the centres of the first and of the last rows meet, or else their outer edges. Not for
        nearest and area.
      recompute_scale_factor: whether the distance between samples is that of the sizes.
      antialias: whether shrinking averages over as many rows as it skips. For `"bilinear"` and `"bicubic"`.

    Returns:
      An array of shape `(batch, *size, channels)` and of the dtype of `x`.

    Raises:
      TypeError, ValueError: both or neither of `size` and `scale_factor`; an argument of another form, or one that the
        mode does not have.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import interpolate
      >>> x = jnp.array([0.0, 4.0]).reshape(1, 2, 1)
      >>> interpolate(x, scale_factor=2).ravel().tolist()
      [0.0, 0.0, 4.0, 4.0]
      >>> interpolate(x, scale_factor=2, mode="linear").ravel().tolist()
      [0.0, 1.0, 3.0, 4.0]
    """
    check_name("mode", mode, _AXES)
    x, n = _checked(x, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)
    axes = spatial_axes(x, n)
    current = [x.shape[axis] for axis in axes]
    factors: list[float | None] = [None] * n
    if scale_factor is None:
        counts = sizes("size", size, current)
    else:
        given = _factors(scale_factor, n)
        counts = tuple(math.floor(rows * factor) for rows, factor in zip(current, given, strict=True))
        if min(counts) < 1:
            raise ValueError(f"scale_factor must leave a row on every spatial axis of {current}; got {scale_factor!r}")
        if not recompute_scale_factor:
            factors = [*given]
    if mode == "area":
        return adaptive_avg_pool(x, counts)
    if mode.startswith("nearest"):
        small = n == 2 and sum(counts) <= 128
        for i, axis in enumerate(axes):
            x = _nearest(x, axis, counts[i], factors[i], exact=mode == "nearest-exact", small=small)
        return x
    dtype = floats("x", x).dtype
    x = x.astype(wide(dtype))
    for i, axis in enumerate(axes):
        step = resizing_rows.step(current[i], counts[i], factors[i], align_corners, x.dtype)
        rows, weights = resizing_rows.weighted(mode, current[i], counts[i], step, align_corners, antialias)
        x = combined(x, axis, rows, weights)
    return x.astype(dtype)


def _checked(
    x: ArrayLike,
    size: int | Sequence[int] | None,
    scale_factor: float | Sequence[float] | None,
    mode: Mode,
    align_corners: bool,
    recompute_scale_factor: bool,
    antialias: bool,
) -> tuple[jax.Array, int]:
    """`x` as an array, and its number of spatial axes; an error where the arguments do not go together."""
    if (size is None) == (scale_factor is None):
        raise ValueError(f"size or scale_factor must be given, not both: got {size!r} and {scale_factor!r}")
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor must be left out where size is given: there is no scale factor")
    if align_corners and (mode == "area" or mode.startswith("nearest")):
        raise ValueError(f"align_corners must be left out with mode={mode!r}: only the linear and cubic modes have it")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"antialias must be left out with mode={mode!r}: only 'bilinear' and 'bicubic' have it")
    n = _AXES[mode]
    if n is None:
        if isinstance(scale_factor, int | float):
            return maps(x)
        return maps(x, size=size, scale_factor=scale_factor)
    found = array("x", x)
    if found.ndim <= n:
        raise ValueError(f"x must have {n} spatial axes with mode={mode!r}, and channels last; got {found.shape}")
    return found, n


def _factors(scale_factor: float | Sequence[float], n: int) -> list[float]:
    given = [scale_factor] * n if isinstance(scale_factor, int | float) else listed("scale_factor", scale_factor)
    if len(given) != n or not all((is_int(factor) or isinstance(factor, float)) and factor > 0 for factor in given):
        raise ValueError(
            f"scale_factor must be a positive number, or {n} of them, one per spatial axis; got {scale_factor!r}"
        )
    return [float(factor) for factor in given]


def _nearest(x: jax.Array, axis: int, count: int, factor: float | None, *, exact: bool, small: bool) -> jax.Array:
    size = x.shape[axis]
    rows = resizing_rows.nearest(size, count, factor, exact, small, wide(x.dtype))
    if (rows == np.arange(count) * size // count).all() and count % size == 0:
        return jnp.repeat(x, count // size, axis)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.take(x, rows, axis)
    return combined(x, axis, rows[:, None], np.ones((count, 1)))
