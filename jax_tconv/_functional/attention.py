"""PyTorch's scaled_dot_product_attention."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jax_tconv._functional.inputs import array, floats, wide


def scaled_dot_product_attention(
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    mask: ArrayLike | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> jax.Array:
    """`softmax(q @ k.T * scale + mask) @ v`, with the axes and values of PyTorch's function, without its dropout.

    `jax.nn.dot_product_attention` has the heads after the length. A query that may attend to nothing gets zeros.

    Args:
      q: `(..., heads, length, features)`, of a floating dtype.
      k: `(..., heads, other length, features)`.
      v: `(..., heads, other length, values)`.
      mask: broadcasts to `(..., heads, length, other length)`: bools, True where a query attends, or numbers to add.
      is_causal: whether query `i` attends to the keys up to `i` only; without a `mask`.
      scale: by default `features ** -0.5`.
      enable_gqa: whether `k` and `v` have fewer heads, each for as many neighbouring ones of `q`.

    Returns:
      An array of shape `(..., heads, length, values)` and of the dtype of `q`.

    Raises:
      TypeError, ValueError: an argument of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import scaled_dot_product_attention
      >>> v = jnp.arange(6.0).reshape(1, 3, 2)
      >>> scaled_dot_product_attention(jnp.zeros((1, 3, 4)), jnp.zeros((1, 3, 4)), v, is_causal=True)[0].tolist()
      [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]
    """
    q, k, v = floats("q", q), floats("k", k), floats("v", v)
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(
            "q, k and v must have shapes (..., length, features), (..., other length, features) and (..., other "
            f"length, values); got {q.shape}, {k.shape} and {v.shape}"
        )
    if is_causal and mask is not None:
        raise ValueError("mask must be left out with is_causal=True, which is one")
    if enable_gqa:
        if min(q.ndim, k.ndim, v.ndim) < 3 or q.shape[-3] % k.shape[-3] or q.shape[-3] % v.shape[-3]:
            raise ValueError(
                "k and v must have a number of heads that divides that of q with enable_gqa=True; got shapes "
                f"{q.shape}, {k.shape} and {v.shape}"
            )
        k, v = (jnp.repeat(each, q.shape[-3] // each.shape[-3], -3) for each in (k, v))
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    scores = jnp.matmul(q, k.mT).astype(wide(q.dtype)) * factor
    if is_causal:
        mask = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    if mask is not None:
        mask = array("mask", mask)
        scores = jnp.where(mask, scores, -jnp.inf) if mask.dtype == bool else scores + mask
    return jnp.matmul(_softmax(scores).astype(v.dtype), v)


def _softmax(scores: jax.Array) -> jax.Array:
    """Softmax along the last axis, of zeros where all scores are -inf."""
    most = lax.stop_gradient(scores.max(-1, keepdims=True))
    powers = jnp.exp(scores - jnp.where(jnp.isneginf(most), 0, most))
    total = powers.sum(-1, keepdims=True)
    return powers / jnp.where(total == 0, 1, total)
