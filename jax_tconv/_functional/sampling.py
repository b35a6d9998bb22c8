"""PyTorch's grid_sample and affine_grid: images read at given places."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jax_tconv._call.arguments import check_name, listed
from jax_tconv._functional.cubic import four_weights
from jax_tconv._functional.inputs import floats, sizes


def grid_sample(
    x: ArrayLike,
    grid: ArrayLike,
    mode: Literal["bilinear", "nearest", "bicubic"] = "bilinear",
    padding_mode: Literal["zeros", "border", "reflection"] = "zeros",
    align_corners: bool = False,
) -> jax.Array:
    """The values of `x` at the places in `grid`, with the values and gradients of PyTorch's `grid_sample`.

    Args:
      x: `(batch, *spatial, channels)`, of a floating dtype, with two or three spatial axes.
      grid: `(batch, *output spatial, axes)`, the places: -1 is the beginning of an axis and 1 its end. The axes are in
        torch's order, the last spatial one first: `(column, row)`, or `(column, row, plane)`.
      mode: how to interpolate; in three dimensions `"bilinear"` is trilinear, and there is no `"bicubic"`.
      padding_mode: what is beyond the ends: zeros; the nearest value; or the image mirrored.
      align_corners: whether -1 and 1 are the centres of the first and the last values, or else their outer edges.

    Returns:
      An array of shape `(batch, *output spatial, channels)` and of the dtype of `x`.

    Raises:
      TypeError, ValueError: an argument of another form, or arrays that do not fit each other.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import grid_sample
      >>> image = jnp.array([[0.0, 1.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)
      >>> grid = jnp.array([[-0.5, -0.5], [0.5, -0.5], [0.0, 0.0]]).reshape(1, 1, 3, 2)
      >>> grid_sample(image, grid).ravel().tolist()
      [0.0, 1.0, 1.5]
    """
    x, grid = floats("x", x), floats("grid", grid)
    check_name("mode", mode, ("bilinear", "nearest", "bicubic"))
    check_name("padding_mode", padding_mode, ("zeros", "border", "reflection"))
    n = x.ndim - 2
    if n not in (2, 3) or grid.ndim != x.ndim or grid.shape[-1] != n or grid.shape[0] != x.shape[0]:
        raise ValueError(
            "x must have shape (batch, *spatial, channels) with 2 or 3 spatial axes, and grid (batch, *output spatial, "
            f"axes); got {x.shape} and {grid.shape}"
        )
    if mode == "bicubic" and n == 3:
        raise ValueError("mode must not be 'bicubic' with 3 spatial axes")
    if 0 in x.shape[1:-1]:
        raise ValueError(f"x must have at least one value on each spatial axis, got {x.shape}")
    # Every combination of the rows, columns and planes that a place lies between, on a last axis, and their weights.
    index = jnp.zeros((*grid.shape[:-1], 1), int)
    weights = jnp.ones(index.shape, grid.dtype)
    inside = jnp.ones(index.shape, bool)
    # The coordinates in the order of the axes.
    for at, size in zip(jnp.moveaxis(grid, -1, 0)[::-1], x.shape[1:-1], strict=True):
        place = (at + 1) / 2 * (size - 1) if align_corners else ((at + 1) * size - 1) / 2
        if mode != "bicubic":
            place = _brought_inside(place, size, padding_mode, align_corners)
        rows, factors = _taps(place, mode)
        if mode == "bicubic":
            rows = _brought_inside(rows, size, padding_mode, align_corners)
        index = _combined(jnp.add, index * size, jnp.clip(rows, 0, size - 1).astype(int))
        inside = _combined(jnp.logical_and, inside, (rows >= 0) & (rows < size))
        weights = _combined(jnp.multiply, weights, factors)
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    values = jnp.take_along_axis(flat, index.reshape(x.shape[0], -1, 1), 1).reshape(*index.shape, x.shape[-1])
    return (jnp.where(inside[..., None], values, 0) * weights[..., None]).sum(-2).astype(x.dtype)


def _combined(function: Any, first: jax.Array, second: jax.Array) -> jax.Array:
    """`function` of every entry of the first's last axis with every entry of the second's."""
    return function(first[..., :, None], second[..., None, :]).reshape(*first.shape[:-1], -1)


def _taps(place: jax.Array, mode: str) -> tuple[jax.Array, jax.Array]:
    """The rows that each place lies between, as floats, on a last axis, and the weight of each."""
    if mode == "nearest":
        return jnp.round(place)[..., None], jnp.ones((*place.shape, 1), place.dtype)
    first = jax.lax.stop_gradient(jnp.floor(place))
    t = place - first
    if mode == "bilinear":
        return jnp.stack([first, first + 1], -1), jnp.stack([1 - t, t], -1)
    rows = first[..., None] + jnp.arange(-1, 3, dtype=place.dtype)
    return rows, jnp.stack(four_weights(t), -1)


def _brought_inside(at: jax.Array, size: int, padding_mode: str, align_corners: bool) -> jax.Array:
    if padding_mode == "zeros":
        return at
    if padding_mode == "reflection":
        low, span = (0.0, size - 1) if align_corners else (-0.5, size)
        if span == 0:
            return jnp.zeros_like(at)
        distance = jnp.abs(at - low)
        turns = jax.lax.stop_gradient(jnp.floor(distance / span))
        rest = distance - turns * span
        at = jnp.where(turns % 2 == 0, rest, span - rest) + low
    # Constants where it is outside, so that its gradient is 0 there, and at the ends too, as in torch.
    return jnp.where(at <= 0, 0, jnp.where(at >= size - 1, size - 1, at))


def affine_grid(theta: ArrayLike, size: Sequence[int], align_corners: bool = False) -> jax.Array:
    """The grid that has `grid_sample` map an image by an affine map, as PyTorch's `affine_grid`.

    Args:
      theta: `(batch, axes, axes + 1)`, the maps, of a floating dtype.
      size: the spatial size of the output, 2 or 3 ints; torch has it after the numbers of images and channels.
      align_corners: as in `grid_sample`.

    Returns:
      A grid of shape `(batch, *size, axes)`.

    Raises:
      TypeError, ValueError: an argument of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import affine_grid
      >>> affine_grid(jnp.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]]), (1, 2))[0, 0].tolist()
      [[-0.5, 0.5], [0.5, 0.5]]
    """
    theta = floats("theta", theta)
    n = len(listed("size", size))
    counts = sizes("size", size, [1] * n)
    if n not in (2, 3) or theta.ndim != 3 or theta.shape[1:] != (n, n + 1):
        raise ValueError(
            "theta must have shape (batch, axes, axes + 1), and size 2 or 3 ints, one per axis; got "
            f"{theta.shape} and {size!r}"
        )
    axes = []
    for count in counts:
        ends = 1 if align_corners else (count - 1) / count
        axes.append(jnp.linspace(-ends, ends, count, dtype=theta.dtype) if count > 1 else jnp.zeros(1, theta.dtype))
    # The last spatial axis is the first coordinate.
    base = jnp.stack(jnp.meshgrid(*axes, indexing="ij")[::-1], -1)
    linear = jnp.einsum("...j,bij->b...i", base, theta[..., :n], precision="highest")
    return linear + theta[..., n].reshape(-1, *[1] * n, n)
