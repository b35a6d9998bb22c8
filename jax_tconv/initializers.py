"""PyTorch's default initialisation of a transposed convolution.

PyTorch draws the weight by `kaiming_uniform_(a=sqrt(5))` and the bias from the same range, U(-b, b) with
`b = 1 / sqrt(fan_in)`. Its fan-in is weight axis 1 times the kernel's size, which for a *transposed* weight,
`(in, out // groups, *kernel_size)`, counts output channels (torch.nn.init._calculate_fan_in_and_fan_out).
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


def torch_kernel_init(key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
    """Draws a kernel as PyTorch does; a Flax initializer.

    Args:
      key: the random key.
      shape: `(*kernel_size, in, out // groups)`.
      dtype: a floating or complex dtype.

    Returns:
      An array of that shape, uniform in [-b, b] with `b = 1 / sqrt(out // groups * prod(kernel_size))`.

    Example:
      >>> import jax
      >>> from jax_tconv.initializers import torch_kernel_init
      >>> kernel = torch_kernel_init(jax.random.key(0), (4, 4, 8, 16))
      >>> bool(abs(kernel).max() <= (4 * 4 * 16) ** -0.5)
      True
    """
    return _uniform(key, shape, dtype, _bound(shape))


def torch_bias_init(kernel_shape: Sequence[int]) -> Callable[..., jax.Array]:
    """The Flax initializer of the bias that goes with a kernel of shape `(*kernel_size, in, out // groups)`."""

    def init(key: jax.Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        return _uniform(key, shape, dtype, _bound(kernel_shape))

    return init


def _bound(kernel_shape: Sequence[int]) -> float:
    return 1 / math.sqrt(kernel_shape[-1] * math.prod(kernel_shape[:-2]))


def _uniform(key: jax.Array, shape: Sequence[int], dtype: DTypeLike, bound: float) -> jax.Array:
    dtype = jnp.dtype(dtype)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        # PyTorch draws the real and the imaginary part from the same range, without halving the variance.
        parts = _uniform(key, (2, *shape), jnp.finfo(dtype).dtype, bound)
        return jax.lax.complex(parts[0], parts[1])
    return jax.random.uniform(key, shape, dtype, -bound, bound)
