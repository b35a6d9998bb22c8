"""PyTorch's convolution as a function, with Flax's kernel."""

from typing import Any

import jax
from jax import lax
from jax.typing import ArrayLike

from jax_tconv._call.arguments import float_array, integer, per_axis
from jax_tconv._functional.inputs import IntOrInts


def conv(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    stride: IntOrInts = 1,
    padding: IntOrInts | str = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
    *,
    precision: Any = None,
) -> jax.Array:
    """Convolution with the values of PyTorch's `conv1d`, `2d` and `3d`. `jax_tconv.conv_transpose` is the transposed.

    Args:
      x: `(*batch, *spatial, in)`, of a floating dtype; none, one or several batch axes.
      kernel: `(*kernel_size, in // groups, out)`, as Flax has it. Its rank gives the number of spatial axes.
      bias: `(out,)`, or None.
      stride, dilation: an int, or one per spatial axis.
      padding: rows of zeros on both sides, an int, or one per spatial axis; or `"valid"`, none; or `"same"`, as many as
        keep the size, the odd one at the end, for stride 1.
      groups: channels are split into so many groups, each convolved on its own.
      precision: as in `jax.lax.conv_general_dilated`.

    Returns:
      An array of shape `(*batch, *output spatial, out)`, of the promoted dtype.

    Raises:
      TypeError, ValueError: an argument of another form, or arrays that do not fit each other.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import conv
      >>> conv(jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1), jnp.ones((2, 1, 1)), padding="same").ravel().tolist()
      [3.0, 5.0, 3.0]
    """
    arrays = [float_array("x", x), float_array("kernel", kernel)]
    if bias is not None:
        arrays.append(float_array("bias", bias))
    dtype = jax.numpy.result_type(*arrays)
    x, kernel, *rest = (found.astype(dtype) for found in arrays)
    n = kernel.ndim - 2
    if n < 1 or x.ndim <= n:
        raise ValueError(
            "kernel must have shape (*kernel_size, in // groups, out) and x (*batch, *spatial, in); got shapes "
            f"{kernel.shape} and {x.shape}"
        )
    c_in, c_out = kernel.shape[-2:]
    if x.shape[-1] != c_in * integer("groups", groups, least=1) or c_out % groups:
        raise ValueError(
            f"x must have {c_in} channels for each of groups={groups}, and kernel, of shape {kernel.shape}, a multiple "
            f"of groups outputs; got x of shape {x.shape}"
        )
    if rest and rest[0].shape != (c_out,):
        raise ValueError(f"bias must be of shape {(c_out,)}, got {rest[0].shape}")
    strides, dilations = (per_axis(*each, n, least=1) for each in (("stride", stride), ("dilation", dilation)))
    extents = [spread * (size - 1) + 1 for spread, size in zip(dilations, kernel.shape[:n], strict=True)]
    pairs = _pairs(padding, strides, extents)
    spatial = x.shape[x.ndim - 1 - n : -1]
    for size, pair, extent in zip(spatial, pairs, extents, strict=True):
        if size + sum(pair) < extent:
            raise ValueError(
                f"kernel must fit into x and its padding: it extends over {extent} rows, of {size} + {sum(pair)}"
            )
    letters = "".join("DHW"[-n:]) if n <= 3 else "".join(map(chr, range(ord("a"), ord("a") + n)))
    layouts = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    y = lax.conv_general_dilated(
        x.reshape(-1, *spatial, x.shape[-1]),
        kernel,
        strides,
        pairs,
        rhs_dilation=dilations,
        dimension_numbers=layouts,
        feature_group_count=groups,
        precision=precision,
    )
    y = y.reshape(*x.shape[: x.ndim - 1 - n], *y.shape[1:])
    return y + rest[0] if rest else y


def _pairs(padding: Any, strides: tuple[int, ...], extents: list[int]) -> list[tuple[int, int]]:
    if padding == "valid":
        return [(0, 0)] * len(extents)
    if padding == "same":
        if set(strides) != {1}:
            raise ValueError(f"stride must be 1 with padding='same', got {strides}")
        return [((extent - 1) // 2, extent // 2) for extent in extents]
    if isinstance(padding, str):
        raise ValueError(f"padding must be 'same', 'valid', an int, or one int per spatial axis; got {padding!r}")
    return [(rows, rows) for rows in per_axis("padding", padding, len(extents), least=0)]
