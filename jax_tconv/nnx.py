"""The Flax nnx layers."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn import dtypes
from jax.typing import ArrayLike, DTypeLike

from jax_tconv._call.arguments import IntOrInts, Method, Padding
from jax_tconv._call.layer import check_mask, checked_inputs, checked_window, kernel_shape
from jax_tconv._nnx_layers import GRUCell, LayerNorm, PReLU
from jax_tconv._op.functional import conv_transpose
from jax_tconv.initializers import torch_bias_init, torch_kernel_init

__all__ = ["ConvTranspose", "GRUCell", "LayerNorm", "PReLU"]


class ConvTranspose(nnx.Module):
    """Transposed convolution with PyTorch's values, under Flax's argument names.

    `padding` defaults to 0 and means PyTorch's padding: rows removed from both ends of the output. That is not what it
    means in `flax.nnx.ConvTranspose`. The kernel is PyTorch's too, unreversed; `jax_tconv.interop.kernel_from_flax`
    moves the weights of a Flax layer, and Flax's `transpose_kernel` is refused.

    Args:
      in_features, out_features: the numbers of channels.
      kernel_size: one int per spatial axis; an int means one axis, as in Flax.
      strides: an int, or one int per spatial axis.
      padding: an int, one int or one `(low, high)` pair per spatial axis, `"SAME"` or `"VALID"`; see
        `jax_tconv.conv_transpose`.
      kernel_dilation: an int, or one int per spatial axis.
      output_padding: rows added at the end of the output, an int or one int per spatial axis.
      feature_group_count: the number of groups the channels are split into.
      use_bias: whether to add a bias.
      mask: an array of the kernel's shape that the kernel is multiplied by, or None.
      dtype: the dtype to compute in; None promotes inputs and parameters.
      param_dtype: the dtype of the parameters.
      precision: as in `jax.lax.conv_general_dilated`.
      kernel_init, bias_init: Flax initializers; None means PyTorch's default.
      promote_dtype: as in `flax.nnx.Conv`.
      preferred_element_type: the dtype of the result.
      method: the algorithm; see `jax_tconv.conv_transpose`.
      rngs: where the initial values are drawn from.
      kernel_metadata, bias_metadata: metadata of the two `nnx.Param`.

    Attributes:
      kernel: `nnx.Param` of shape `(*kernel_size, in_features, out_features // feature_group_count)`.
      bias: `nnx.Param` of shape `(out_features,)`, or None.

    Raises:
      TypeError, ValueError: an unusable argument, at construction or at the call.

    Example:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from jax_tconv.nnx import ConvTranspose
      >>> layer = ConvTranspose(16, 8, (4, 4), strides=2, padding=1, rngs=nnx.Rngs(0))
      >>> layer(jnp.ones((1, 16, 16, 16))).shape
      (1, 32, 32, 8)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: IntOrInts,
        strides: IntOrInts | None = 1,
        *,
        padding: Padding = 0,
        kernel_dilation: IntOrInts | None = 1,
        output_padding: IntOrInts = 0,
        feature_group_count: int = 1,
        use_bias: bool = True,
        mask: ArrayLike | None = None,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: Any = None,
        kernel_init: Callable[..., jax.Array] = torch_kernel_init,
        bias_init: Callable[..., jax.Array] | None = None,
        transpose_kernel: None = None,
        promote_dtype: Callable[..., Any] = dtypes.promote_dtype,
        preferred_element_type: DTypeLike | None = None,
        method: Method | None = None,
        rngs: nnx.Rngs,
        kernel_metadata: Mapping[str, Any] = MappingProxyType({}),
        bias_metadata: Mapping[str, Any] = MappingProxyType({}),
    ):
        arguments = checked_window(
            kernel_size,
            strides,
            padding,
            kernel_dilation,
            output_padding,
            method=method,
            precision=precision,
            transpose_kernel=transpose_kernel,
        )
        channels = {"in_features": in_features, "out_features": out_features}
        shape = kernel_shape(arguments.kernel_size, channels, feature_group_count)
        check_mask(mask, shape)
        self.in_features = in_features
        self.out_features = out_features
        self.kernel_size = arguments.kernel_size
        self.strides = arguments.stride
        self.padding = padding if isinstance(padding, str) else arguments.padding
        self.kernel_dilation = arguments.dilation
        self.output_padding = arguments.output_padding
        self.feature_group_count = feature_group_count
        self.use_bias = use_bias
        self.mask = mask
        self.dtype = dtype
        self.param_dtype = param_dtype
        self.precision = precision
        self.promote_dtype = promote_dtype
        self.preferred_element_type = preferred_element_type
        self.method = method

        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, param_dtype), **kernel_metadata)
        self.bias: nnx.Param[jax.Array] | None
        if use_bias:
            init = torch_bias_init(shape) if bias_init is None else bias_init
            self.bias = nnx.Param(init(rngs.params(), (out_features,), param_dtype), **bias_metadata)
        else:
            self.bias = nnx.data(None)

    def __call__(self, inputs: ArrayLike, *, output_size: IntOrInts | None = None) -> jax.Array:
        """Applies the layer.

        Args:
          inputs: `(*batch, *spatial, in_features)`, with none, one or several batch axes.
          output_size: the spatial size to produce (or a full shape, of which only the spatial entries count), in place
            of what `output_padding` gives; see `jax_tconv.conv_transpose`.

        Returns:
          `(*batch, *output_spatial, out_features)`.
        """
        x = checked_inputs(inputs, len(self.kernel_size), self.in_features)
        kernel = self.kernel[...] if self.mask is None else self.kernel[...] * self.mask
        bias = None if self.bias is None else self.bias[...]
        x, kernel, bias = self.promote_dtype((x, kernel, bias), dtype=self.dtype)
        return conv_transpose(
            x,
            kernel,
            bias,
            stride=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            output_size=output_size,
            dilation=self.kernel_dilation,
            groups=self.feature_group_count,
            method=self.method,
            precision=self.precision,
            preferred_element_type=self.preferred_element_type,
        )
