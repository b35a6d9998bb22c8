"""What `jax.checkpoint` may keep of a forward pass."""

from typing import Any

from jax.extend.core import Primitive

from jax_tconv._op.primitives import PRIMITIVES


def conv_transpose_saveable(primitive: Primitive, *_: Any, **params: Any) -> bool:
    """A policy for `jax.checkpoint` that keeps the results of transposed convolutions and recomputes the rest.

    JAX's own `dots_saveable` keeps the results of the products and convolutions that it knows; it does not know this
    library's ops, and recomputes them. Combine the two.

    Args:
      primitive: the primitive that JAX asks about.
      **params: its parameters, which do not matter here.

    Returns:
      Whether it is a transposed convolution, or one of its two adjoints.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from jax_tconv import conv_transpose, conv_transpose_saveable
      >>> policy = jax.checkpoint_policies.save_from_both_policies(
      ...     jax.checkpoint_policies.dots_saveable, conv_transpose_saveable
      ... )
      >>> layer = jax.checkpoint(lambda x, k: jnp.tanh(conv_transpose(x, k, stride=2)), policy=policy)
      >>> layer(jnp.ones((1, 8, 4)), jnp.ones((2, 4, 4))).shape
      (1, 16, 4)
    """
    return primitive in PRIMITIVES.values()
