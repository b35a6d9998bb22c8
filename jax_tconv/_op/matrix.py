"""The matrix view, written out: a transposed convolution is the transpose of a convolution's matrix."""

import dataclasses

import jax
from jax.typing import ArrayLike

from jax_tconv._call.arguments import IntOrInts, Padding, float_array, per_axis
from jax_tconv._call.call import checked_call
from jax_tconv._methods.oracles.matrix import dense, refusal


def transposed_conv_matrix(
    kernel: ArrayLike,
    input_size: IntOrInts,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    output_padding: IntOrInts = 0,
    output_size: IntOrInts | None = None,
    dilation: IntOrInts = 1,
    groups: int = 1,
) -> jax.Array:
    """The matrix `K^T` that, times a flattened input, is the flattened output of `conv_transpose`.

    Its transpose `K` is the matrix of the strided convolution with the same arguments. Pixels are numbered in row-major
    order, and the channels of a pixel stand together: `y.ravel() == K^T @ x.ravel()` for channels-last `x` and `y`.

    Args:
      kernel: `(*kernel_size, in, out // groups)`; or `(*kernel_size)` alone, where `input_size` says how many spatial
        axes there are, for one channel in and out, as the tutorials have it.
      input_size: one int per spatial axis, or an int for all of them.
      stride, padding, output_padding, output_size, dilation, groups: as in `conv_transpose`.

    Returns:
      `(prod(output_size) * out, prod(input_size) * in)`, of the kernel's dtype.

    Raises:
      TypeError, ValueError: as `conv_transpose` does.
      NotImplementedError: the matrix would have more than 2**24 entries.

    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016), section 4.1.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv import transposed_conv_matrix
      >>> transposed_conv_matrix(jnp.array([1.0, 2.0, 3.0]), (2,), stride=2).T.astype(int).tolist()
      [[1, 2, 3, 0, 0], [0, 0, 1, 2, 3]]
    """
    kernel = float_array("kernel", kernel)
    if isinstance(input_size, tuple | list) and kernel.ndim == len(input_size):
        kernel = kernel[..., None, None]
    size = per_axis("input_size", input_size, max(kernel.ndim - 2, 1), least=1)
    call = checked_call(
        (*size, kernel.shape[-2] if kernel.ndim > 2 else 1),
        kernel.shape,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        output_size=output_size,
        dilation=dilation,
        groups=groups,
    )
    # Unlike the method, this writes out the zeros between groups.
    ungrouped = dataclasses.replace(call, geometry=call.geometry.with_groups(1))
    reason = refusal(ungrouped)
    if reason:
        raise NotImplementedError(f"input_size {size} is too large for the matrix to be written out: {reason}")
    return dense(kernel, call.geometry)
