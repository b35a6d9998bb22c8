"""The nnx layers that PyTorch has with more arrays, or larger ones, than Flax: PReLU, LayerNorm and GRUCell."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike

from jax_tconv._call.arguments import integer, listed
from jax_tconv._call.layer import prelu

_ZEROS = nnx.initializers.zeros_init()


class PReLU(nnx.Module):
    """`x` where it is positive and `negative_slope * x` elsewhere, with one learned slope or one per channel.

    The channels are the last axis. `flax.nnx.PReLU` has one slope, of shape `()`, that begins at 0.01.

    Args:
      num_parameters: the number of slopes: 1, or the number of channels.
      negative_slope_init: the value that each slope begins with; PyTorch's by default.
      dtype: the dtype to compute in; None means that of the inputs.
      param_dtype: the dtype of the slopes.
      negative_slope_metadata: metadata of the `nnx.Param`.

    Attributes:
      negative_slope: `nnx.Param` of shape `(num_parameters,)`.

    Raises:
      TypeError, ValueError: `num_parameters` is no positive int; at the call, inputs with another number of channels.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.nnx import PReLU
      >>> layer = PReLU(3)
      >>> layer(jnp.array([[-1.0, -2.0, 4.0]])).tolist(), layer.negative_slope.shape
      ([[-0.25, -0.5, 4.0]], (3,))
    """

    def __init__(
        self,
        num_parameters: int = 1,
        negative_slope_init: float = 0.25,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        negative_slope_metadata: Mapping[str, Any] = MappingProxyType({}),
    ):
        self.num_parameters = integer("num_parameters", num_parameters, least=1)
        self.dtype = dtype
        self.param_dtype = param_dtype
        slopes = jnp.full((self.num_parameters,), negative_slope_init, param_dtype)
        self.negative_slope = nnx.Param(slopes, **negative_slope_metadata)

    def __call__(self, inputs: ArrayLike) -> jax.Array:
        """Applies the layer to `(..., channels)`, and returns an array of the same shape."""
        return prelu(jnp.asarray(inputs, self.dtype), self.negative_slope[...])


class LayerNorm(nnx.LayerNorm):
    """`flax.nnx.LayerNorm` over one axis or several, with a scale and a bias of their shape, as PyTorch has them.

    Flax's own keeps the arrays of several axes flattened, so that their shape is not known.

    Args:
      normalized_shape: the sizes of the axes to normalize over; an int means one axis.
      axes: which axes of the input these are, in increasing order, counted from the end: the last ones if None. Over a
        map, `(N, H, W, C)`, torch's `LayerNorm([C, H, W])` is `LayerNorm((H, W, C))`, and its `LayerNorm([H, W])` is
        `LayerNorm((H, W), axes=(-3, -2))`.
      epsilon: as in Flax, but PyTorch's by default.
      arguments: the other arguments of `flax.nnx.LayerNorm`, apart from its axes.
      rngs: where the initial values are drawn from.

    Attributes:
      scale, bias: `nnx.Param` of shape `normalized_shape`, or None.

    Raises:
      TypeError, ValueError: sizes or axes that are not ints, or that do not fit each other.

    Example:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from jax_tconv.nnx import LayerNorm
      >>> layer = LayerNorm((4, 3), rngs=nnx.Rngs(0))
      >>> layer(jnp.ones((2, 4, 3))).shape, layer.scale.shape
      ((2, 4, 3), (4, 3))
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        *,
        axes: Sequence[int] | None = None,
        epsilon: float = 1e-5,
        rngs: nnx.Rngs,
        **arguments: Any,
    ):
        given = (
            [normalized_shape] if isinstance(normalized_shape, int) else listed("normalized_shape", normalized_shape)
        )
        shape = tuple(integer("normalized_shape", size, least=1) for size in given)
        places = tuple(range(-len(shape), 0)) if axes is None else tuple(listed("axes", axes))
        ordered = all(isinstance(axis, int) and axis < 0 for axis in places) and list(places) == sorted({*places})
        if not shape or not ordered or len(places) != len(shape):
            raise ValueError(
                "axes must be negative ints in increasing order, one for each size of normalized_shape; got "
                f"axes={axes!r}, normalized_shape={normalized_shape!r}"
            )
        super().__init__(
            math.prod(shape), epsilon=epsilon, reduction_axes=places, feature_axes=places, rngs=rngs, **arguments
        )
        self.normalized_shape = shape
        for parameter in (self.scale, self.bias):
            if parameter is not None:
                parameter.set_value(parameter[...].reshape(shape))


class GRUCell(nnx.GRUCell):
    """`flax.nnx.GRUCell` with PyTorch's second bias, which the reset gate multiplies.

    `n = tanh(W_in x + b_in + r * (W_hn h + b_hn))`: Flax's own has no `b_hn`. Everything else is Flax's, and an
    `nnx.RNN` takes this cell as it takes that one.

    Args:
      in_features, hidden_features: the numbers of inputs and of outputs.
      bias_init: the initializer of both biases.
      arguments: the other arguments of `flax.nnx.GRUCell`.
      rngs: where the initial values are drawn from.

    Example:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from jax_tconv.nnx import GRUCell
      >>> rngs = nnx.Rngs(0)
      >>> rnn = nnx.RNN(GRUCell(3, 4, rngs=rngs), rngs=rngs)
      >>> rnn(jnp.ones((2, 5, 3))).shape, rnn.cell.dense_h.bias.shape
      ((2, 5, 4), (12,))
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        bias_init: Callable[..., jax.Array] = _ZEROS,
        rngs: nnx.Rngs,
        **arguments: Any,
    ):
        super().__init__(in_features, hidden_features, bias_init=bias_init, rngs=rngs, **arguments)
        metadata = arguments.get("bias_metadata", {})
        self.dense_h.bias = nnx.Param(bias_init(rngs.params(), (3 * hidden_features,), self.param_dtype), **metadata)
        self.dense_h.use_bias = True
