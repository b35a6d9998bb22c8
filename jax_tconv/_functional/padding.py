"""PyTorch's pad, which jnp.pad is but for negative widths and the names of the modes."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jax_tconv._call.arguments import check_name, is_int, listed
from jax_tconv._functional.inputs import array

_MODES = {
    "constant": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}  # under jnp.pad's names


def pad(
    x: ArrayLike,
    pad_width: Sequence[tuple[int, int]],
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant",
    value: float = 0.0,
) -> jax.Array:
    """More rows at the ends of each axis, or fewer, with the values of PyTorch's `pad`.

    Args:
      x: an array of any shape and dtype.
      pad_width: `(before, after)` for each axis of `x`, as `jnp.pad` takes it: in the order of the axes, where torch
        lists the last first. A negative width removes rows.
      mode: what the new rows are: `"constant"`; `"reflect"`, mirrored about the first and the last row;
        `"replicate"`, copies of these; `"circular"`, those of the other end.
      value: the constant.

    Returns:
      An array of the dtype of `x`.

    Raises:
      TypeError, ValueError: an argument of another form; as in torch, widths that remove more than there is, reflect
        more rows than the axis has besides the first or last, or go round it more than once.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import pad
      >>> pad(jnp.array([1, 2, 3]), [(2, -1)], mode="reflect").tolist()
      [3, 2, 1, 2]
    """
    x = array("x", x)
    check_name("mode", mode, _MODES)
    pairs = [tuple(pair) if isinstance(pair, tuple | list) else pair for pair in listed("pad_width", pad_width)]
    if len(pairs) != x.ndim or not all(
        isinstance(pair, tuple) and len(pair) == 2 and all(map(is_int, pair)) for pair in pairs
    ):
        raise ValueError(f"pad_width must be {x.ndim} (before, after) pairs, one per axis of x; got {pad_width!r}")
    for size, (before, after) in zip(x.shape, pairs, strict=True):
        most = {"reflect": size - 1, "circular": size + min(before, 0) + min(after, 0)}.get(mode)
        if most is not None and max(before, after, 0) > most:
            raise ValueError(f"pad_width must be at most {most} for an axis of {size} with mode={mode!r}; got {pairs}")
        if size + before + after < 0 or (mode != "constant" and size == 0 < max(before, after)):
            raise ValueError(f"pad_width must fit each axis of x, of shape {x.shape}, with mode={mode!r}; got {pairs}")
    if mode == "constant":
        return lax.pad(x, jnp.asarray(value, x.dtype), [(*pair, 0) for pair in pairs])
    more = [(max(before, 0), max(after, 0)) for before, after in pairs]
    if mode == "circular":  # the one mode in which torch removes rows before it looks for the new ones
        return jnp.pad(_cropped(x, pairs), more, mode="wrap")
    return _cropped(jnp.pad(x, more, mode=_MODES[mode]), pairs)


def _cropped(x: jax.Array, pairs: Sequence[tuple[int, int]]) -> jax.Array:
    """`x` without the rows that negative widths remove."""
    starts = [max(-before, 0) for before, _ in pairs]
    ends = [size - max(-after, 0) for size, (_, after) in zip(x.shape, pairs, strict=True)]
    return lax.slice(x, starts, ends)
