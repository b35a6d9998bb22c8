"""The Flax linen layers."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype as flax_promote_dtype
from jax.typing import ArrayLike, DTypeLike

from jax_tconv._call.arguments import IntOrInts, Method, Padding, integer
from jax_tconv._call.layer import check_mask, checked_inputs, checked_window, kernel_shape, prelu
from jax_tconv._op.functional import conv_transpose
from jax_tconv.initializers import torch_bias_init, torch_kernel_init


class ConvTranspose(nn.Module):
    """Transposed convolution with PyTorch's values, under Flax's argument names.

    `padding` defaults to 0 and means PyTorch's padding: rows removed from both ends of the output. That is not what it
    means in `flax.linen.ConvTranspose`. The kernel is PyTorch's too, unreversed; `jax_tconv.interop.kernel_from_flax`
    moves the weights of a Flax layer, and Flax's `transpose_kernel` is refused.

    Attributes:
      features: the number of output channels.
      kernel_size: one int per spatial axis; an int means one axis, as in Flax.
      strides: an int, or one int per spatial axis.
      padding: an int, one int or one `(low, high)` pair per spatial axis, `"SAME"` or `"VALID"`; see
        `jax_tconv.conv_transpose`.
      kernel_dilation: an int, or one int per spatial axis.
      use_bias: whether to add a bias.
      mask: an array of the kernel's shape that the kernel is multiplied by, or None.
      dtype: the dtype to compute in; None promotes inputs and parameters.
      param_dtype: the dtype of the parameters.
      precision: as in `jax.lax.conv_general_dilated`.
      kernel_init, bias_init: Flax initializers; None means PyTorch's default.
      promote_dtype: as in `flax.linen.Conv`.
      preferred_element_type: the dtype of the result.
      output_padding: rows added at the end of the output, an int or one int per spatial axis.
      feature_group_count: the number of groups the channels are split into.
      method: the algorithm; see `jax_tconv.conv_transpose`.

    The parameters are `kernel`, `(*kernel_size, in, features // feature_group_count)`, and `bias`, `(features,)`.

    Raises, at the call:
      TypeError, ValueError: an unusable argument.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jax_tconv.linen import ConvTranspose
      >>> layer = ConvTranspose(8, (4, 4), strides=2, padding=1)
      >>> output, variables = layer.init_with_output(jax.random.key(0), jnp.ones((1, 16, 16, 16)))
      >>> output.shape, variables["params"]["kernel"].shape
      ((1, 32, 32, 8), (4, 4, 16, 8))
    """

    features: int
    kernel_size: IntOrInts
    strides: IntOrInts | None = 1
    padding: Padding = 0
    kernel_dilation: IntOrInts | None = 1
    use_bias: bool = True
    mask: ArrayLike | None = None
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32
    precision: Any = None
    kernel_init: Callable[..., jax.Array] = torch_kernel_init
    bias_init: Callable[..., jax.Array] | None = None
    transpose_kernel: None = None
    promote_dtype: Callable[..., Any] = flax_promote_dtype
    preferred_element_type: DTypeLike | None = None
    output_padding: IntOrInts = 0
    feature_group_count: int = 1
    method: Method | None = None

    @nn.compact
    def __call__(self, inputs: ArrayLike, *, output_size: IntOrInts | None = None) -> jax.Array:
        """Applies the layer.

        Args:
          inputs: `(*batch, *spatial, in)`, with none, one or several batch axes.
          output_size: the spatial size to produce (or a full shape, of which only the spatial entries count), in place
            of what `output_padding` gives; see `jax_tconv.conv_transpose`.

        Returns:
          `(*batch, *output_spatial, features)`.
        """
        arguments = checked_window(
            self.kernel_size,
            self.strides,
            self.padding,
            self.kernel_dilation,
            self.output_padding,
            method=self.method,
            precision=self.precision,
            transpose_kernel=self.transpose_kernel,
        )
        x = checked_inputs(inputs, len(arguments.kernel_size))
        channels = {"the number of input channels": x.shape[-1], "features": self.features}
        shape = kernel_shape(arguments.kernel_size, channels, self.feature_group_count)
        check_mask(self.mask, shape)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        if self.mask is not None:
            kernel = kernel * self.mask
        bias = None
        if self.use_bias:
            bias_init = torch_bias_init(shape) if self.bias_init is None else self.bias_init
            bias = self.param("bias", bias_init, (self.features,), self.param_dtype)
        x, kernel, bias = self.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return conv_transpose(
            x,
            kernel,
            bias,
            stride=arguments.stride,
            padding=self.padding,
            output_padding=arguments.output_padding,
            output_size=output_size,
            dilation=arguments.dilation,
            groups=self.feature_group_count,
            method=self.method,
            precision=self.precision,
            preferred_element_type=self.preferred_element_type,
        )


class PReLU(nn.Module):
    """`x` where it is positive and `negative_slope * x` elsewhere, with one learned slope or one per channel.

    The channels are the last axis. `flax.linen.PReLU` has one slope, of shape `()`, that begins at 0.01.

    Attributes:
      num_parameters: the number of slopes: 1, or the number of channels.
      negative_slope_init: the value that each slope begins with; PyTorch's by default.
      dtype: the dtype to compute in; None means that of the inputs.
      param_dtype: the dtype of the slopes.

    The parameter is `negative_slope`, `(num_parameters,)`.

    Raises, at the call:
      TypeError, ValueError: `num_parameters` is no positive int, or the inputs have another number of channels.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jax_tconv.linen import PReLU
      >>> output, variables = PReLU(3).init_with_output(jax.random.key(0), jnp.array([[-1.0, -2.0, 4.0]]))
      >>> output.tolist(), variables["params"]["negative_slope"].shape
      ([[-0.25, -0.5, 4.0]], (3,))
    """

    num_parameters: int = 1
    negative_slope_init: float = 0.25
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, inputs: ArrayLike) -> jax.Array:
        """Applies the layer to `(..., channels)`, and returns an array of the same shape."""
        count = integer("num_parameters", self.num_parameters, least=1)
        init = nn.initializers.constant(self.negative_slope_init)
        slopes = self.param("negative_slope", init, (count,), self.param_dtype)
        return prelu(jnp.asarray(inputs, self.dtype), slopes)
