"""`conv_transpose`: check the arguments, bring them to the canonical form, apply the op, restore the caller's form."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from jax_tconv._call import arguments
from jax_tconv._call.arguments import DataFormat, IntOrInts, Method, Padding
from jax_tconv._call.call import checked_call
from jax_tconv._op.primitives import bind


def conv_transpose(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    output_padding: IntOrInts = 0,
    output_size: IntOrInts | None = None,
    dilation: IntOrInts = 1,
    groups: int = 1,
    data_format: DataFormat = "channels_last",
    method: Method | None = None,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> jax.Array:
    """Transposed convolution with the values of PyTorch's `conv_transpose1d`, `2d` and `3d`.

    Output row `i * stride + t * dilation - padding` gathers input row `i` times kernel tap `t`, on every spatial axis,
    so the output has `(input - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1` rows.

    Args:
      x: the input, `(*batch, *spatial, in)`, or `(*batch, in, *spatial)` with `data_format="channels_first"`; none, one
        or several batch axes.
      kernel: `(*kernel_size, in, out // groups)`. Its rank gives the number of spatial axes. A PyTorch weight becomes
        one by `jax_tconv.interop.kernel_from_torch`.
      bias: `(out,)`, or None.
      stride, dilation: an int, or one int per spatial axis, at least 1.
      padding: rows removed at both ends of each spatial axis of the full output: an int, or one int per spatial axis,
        not negative; it may exceed `dilation * (kernel - 1)`. Beyond PyTorch: one `(low, high)` pair per spatial axis,
        where negative values extend the output; `"SAME"` (output size `input * stride`) and `"VALID"`
        (`input * stride + max(dilation * (kernel - 1) + 1 - stride, 0)`), which mean what they do in
        `flax.linen.ConvTranspose(transpose_kernel=True)` and in Keras.
      output_padding: rows added at the end of each spatial axis, less than `max(stride, dilation)`.
      output_size: the spatial size to produce, one int per spatial axis, or a full shape of `x`'s rank, of which only
        the spatial entries count (as in PyTorch). Overrides `output_padding`; must lie in [least, least + stride - 1],
        where least is the size without output padding.
      groups: channels are split into so many groups, each convolved on its own.
      data_format: `"channels_last"` or `"channels_first"`, for `x`, the result and a full-shape `output_size`.
      method: the algorithm: `"lhs_dilation"`, `"vjp"`, `"subpixel"`, `"col2im"`, `"im2col"`, `"taps"`, `"fused"`,
        `"matrix"` or `"scatter"`; None chooses, as `select_method` tells. Derivatives keep it wherever this op
        reappears in them, and for the two adjoint ops where the method has a form of them.
      precision: as in `jax.lax.conv_general_dilated`; None follows `jax.default_matmul_precision`.
      preferred_element_type: the result's dtype, in place of the operands' promoted one.

    Returns:
      `(*batch, *output_spatial, out)`, or `(*batch, out, *output_spatial)`. Its dtype is the promoted dtype of the
      operands. Half-precision products are summed in float32.

    Raises:
      TypeError: an argument is not of its kind, or not of a supported dtype (float16, bfloat16, float32, float64,
        complex64, complex128).
      ValueError: shapes that do not fit together, a number out of range, an unknown name, an output without a row.
      NotImplementedError: the named method would need too much memory (`"matrix"` and `"scatter"` only), is a
        convolution of four axes or more, lowered for a GPU, or is `"fused"`, lowered for another platform than a TPU or
        for what its kernels do not take.

    Source: PyTorch's documentation of ConvTranspose; V. Dumoulin and F. Visin, "A guide to convolution arithmetic for
    deep learning" (2016).

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv import conv_transpose
      >>> x = jnp.array([[0.0, 1.0], [2.0, 3.0]])[..., None]
      >>> kernel = jnp.array([[4.0, 1.0], [2.0, 3.0]])[..., None, None]
      >>> conv_transpose(x, kernel, stride=2)[..., 0].astype(int).tolist()
      [[0, 0, 4, 1], [0, 0, 2, 3], [8, 2, 12, 3], [4, 6, 6, 9]]
    """
    operands = {"x": x, "kernel": kernel} | ({} if bias is None else {"bias": bias})
    arrays = {name: arguments.float_array(name, value) for name, value in operands.items()}
    x, kernel, bias = arrays["x"], arrays["kernel"], arrays.get("bias")
    arguments.check_method(method)
    precision = arguments.canonical_precision(precision)
    dtype = arguments.result_dtype(list(arrays.values()), preferred_element_type)
    call = checked_call(
        x.shape,
        kernel.shape,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        output_size=output_size,
        dilation=dilation,
        groups=groups,
        data_format=data_format,
    )
    if bias is not None and bias.shape != (call.c_out,):
        raise ValueError(f"bias must have shape (out,) = ({call.c_out},), got {bias.shape}")

    x = jnp.moveaxis(x, call.channel_axis, -1)
    if len(call.batch_shape) != 1:
        x = x.reshape(call.batch, *call.geometry.input_size, call.c_in)
    operand_dtype = jnp.result_type(x, kernel)
    x, kernel = (lax.convert_element_type(v, operand_dtype) for v in (x, kernel))
    y = bind("forward", x, kernel, geometry=call.geometry, dtype=dtype, method=method, precision=precision)
    if bias is not None:
        y = _add_bias(y, bias)
    if len(call.batch_shape) != 1:
        y = y.reshape(*call.batch_shape, *call.geometry.output_size, call.c_out)
    return jnp.moveaxis(y, -1, call.channel_axis)


def _add_bias(y: jax.Array, bias: jax.Array) -> jax.Array:
    # In float32 for half precisions: the bias's gradient is a sum over all pixels, formed in the dtype added in.
    wide = jnp.promote_types(y.dtype, jnp.float32)
    return lax.convert_element_type(lax.convert_element_type(y, wide) + lax.convert_element_type(bias, wide), y.dtype)
