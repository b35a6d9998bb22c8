"""PyTorch's max_unpool: values back to where max_pool_with_indices found them."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jax_tconv._call.arguments import per_axis
from jax_tconv._functional.inputs import IntOrInts, array, maps


def max_unpool(
    x: ArrayLike,
    indices: ArrayLike,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """Zeros, with the values of `x` where `indices` says, as PyTorch's `max_unpool1d`, `2d` and `3d`.

    Args:
      x: `(batch, *spatial, channels)`, of any dtype. Where an argument is a sequence, it says how many axes are
        spatial, and there may be any number of batch axes.
      indices: ints of the shape of `x`, into the spatial axes of the output taken as one. Where one is repeated, one of
        its values is taken, in torch as here undefined which. An index outside is left out.
      kernel_size, stride, padding: those of the pooling; they give the size of the output,
        `(size - 1) * stride - 2 * padding + kernel_size`.
      output_size: the spatial size to give instead, less than `stride` away from that one.

    Returns:
      An array of shape `(batch, *output_size, channels)` and of the dtype of `x`.

    Raises:
      TypeError, ValueError: an argument of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import max_pool_with_indices, max_unpool
      >>> values, indices = max_pool_with_indices(jnp.array([3.0, 1.0, 2.0, 5.0]).reshape(1, 4, 1), 2)
      >>> max_unpool(values, indices, 2).ravel().tolist()
      [3.0, 0.0, 0.0, 5.0]
    """
    x, n = maps(x, kernel_size=kernel_size, stride=stride, padding=padding, output_size=output_size)
    places = array("indices", indices)
    if places.shape != x.shape or not jnp.issubdtype(places.dtype, jnp.integer):
        raise ValueError(f"indices must be ints of the shape of x, {x.shape}; got {places.dtype.name}{places.shape}")
    kernels = per_axis("kernel_size", kernel_size, n, least=1)
    strides = kernels if stride is None else per_axis("stride", stride, n, least=1)
    paddings = per_axis("padding", padding, n, least=0)
    batch, spatial, channels = x.shape[: x.ndim - 1 - n], x.shape[x.ndim - 1 - n : -1], x.shape[-1]
    default = tuple(
        (size - 1) * step - 2 * rows + kernel
        for size, step, rows, kernel in zip(spatial, strides, paddings, kernels, strict=True)
    )
    wanted = default if output_size is None else per_axis("output_size", output_size, n)
    if any(abs(size - usual) >= step for size, usual, step in zip(wanted, default, strides, strict=True)):
        raise ValueError(f"output_size must be less than stride={strides} away from {default}, got {wanted}")
    if min(wanted) < 1:
        raise ValueError(f"kernel_size, stride and padding must leave an output, got one of {wanted}")

    def scatter(values: jax.Array, places: jax.Array) -> jax.Array:
        """One image of one channel. Said to be unique, repeated indices have the gradient that torch gives them."""
        zeros = jnp.zeros(math.prod(wanted), values.dtype)
        return zeros.at[places].set(values, mode="drop", unique_indices=True, wrap_negative_indices=False)

    over_channels = jax.vmap(scatter, in_axes=-1, out_axes=-1)
    rows = (math.prod(batch), math.prod(spatial), channels)
    return jax.vmap(over_channels)(x.reshape(rows), places.reshape(rows)).reshape(*batch, *wanted, channels)
