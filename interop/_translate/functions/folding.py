"""Patches of maps as vectors, and back: what `unfold` and `fold` of `torch.nn.functional` do."""

from collections.abc import Callable
from typing import Any

from ..code import call, method
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import channels_last
from .shapes import sizes_of


def _pair(value: Any) -> tuple[Any, Any]:
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def patches(e: Emitter, x: Value, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Out:
    """Each patch as a vector, channel by channel: torch's (N, C * rows * columns, patches), with the vectors last."""
    if x.ndim != 4:
        raise Untranslatable("unfold of maps without a batch", "add an axis for the batch before it")
    window = _pair(kernel_size)
    more: dict[str, Any] = {} if _pair(dilation) == (1, 1) else {"rhs_dilation": _pair(dilation)}
    found = call(
        "jax.lax.conv_general_dilated_patches",
        e.array(x, channels_last(4)),
        window,
        _pair(stride),
        [(one, one) for one in _pair(padding)],
        **more,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    found = method(found, "reshape", sizes_of(e, x)[0], -1, x.shape[1] * window[0] * window[1])
    return Out(found, (0, 2, 1))


def _fold(e: Emitter, x: Value, *args: Any, **kwargs: Any) -> Out:
    raise Untranslatable("fold, the sum of patches that overlap", "write it as a transposed convolution")


FUNCTIONS: dict[str, Callable[..., Any]] = {"im2col": patches, "fold": _fold, "col2im": _fold}
