"""Which algorithm computes which op: the rules, and `select_method` to ask them.

The rules see shapes and platform; a batch size that is unknown, as in a program that is exported, counts as one. They
decide where an op is lowered, so that jit, eager calls and programs exported for another platform all get the same.
"""

import math
from typing import Any

import jax

from jax_tconv._call.arguments import IntOrInts, Padding
from jax_tconv._call.call import problem
from jax_tconv._call.checks import check_method, check_name
from jax_tconv._call.geometry import Geometry
from jax_tconv._call.roles import OPERANDS
from jax_tconv._methods import METHODS
from jax_tconv._selection import cpu
from jax_tconv._selection.choice import Choice

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def select_method(
    x_shape: tuple[int | None, ...],
    kernel_shape: tuple[int, ...],
    *,
    stride: IntOrInts = 1,
    padding: Padding = 0,
    output_padding: IntOrInts = 0,
    output_size: IntOrInts | None = None,
    dilation: IntOrInts = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    method: str | None = None,
    op: str = "T",
    platform: str | None = None,
) -> Choice:
    """Which algorithm `conv_transpose` uses for these shapes, and why; computes nothing.

    Args:
      x_shape, kernel_shape: the shapes of `conv_transpose`'s arrays; a batch axis may be None or symbolic.
      stride, padding, output_padding, output_size, dilation, groups, data_format, method: as passed to it.
      op: `"T"`, the transposed convolution; `"C"`, its gradient in the input; `"W"`, its gradient in the kernel.
      platform: `"cpu"`, `"cuda"` (or `"gpu"`), `"rocm"` or `"tpu"`; None means JAX's default backend.

    Returns:
      A `Choice`, with `op`, `method` (its name), `reason` (a sentence), `by_group` (whether it is applied to one group
      after the other) and `whole` (whether it takes the image whole, not a few rows at a time).

    Raises:
      TypeError, ValueError, NotImplementedError: as `conv_transpose` does; an unknown op or platform.

    Example:
      >>> from jax_tconv import select_method
      >>> select_method((None, 32, 32, 64), (4, 4, 64, 32), stride=2, padding=1, platform="cuda").method
      'lhs_dilation'
    """
    check_name("op", op, tuple(OPERANDS))
    check_method(method)
    platform = jax.default_backend() if platform is None else platform
    platform = "cuda" if platform == "gpu" else platform
    check_name("platform", platform, PLATFORMS)
    for name, shape in (("x_shape", x_shape), ("kernel_shape", kernel_shape)):
        if not isinstance(shape, tuple | list):
            raise TypeError(
                f"{name} must be a shape, a tuple of ints, got {type(shape).__name__}; pass the array's .shape"
            )
    call = problem(
        x_shape,
        kernel_shape,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        output_size=output_size,
        dilation=dilation,
        groups=groups,
        data_format=data_format,
    )
    check_size(method, call.geometry, call.c_in, call.c_out)
    return choose(op, call.geometry, call.c_in, call.c_out, _batch(call.batch_shape), platform, method)


def _batch(shape: tuple[Any, ...]) -> int:
    return math.prod(size for size in shape if isinstance(size, int))


def check_size(method: str | None, geometry: Geometry, c_in: int, c_out: int) -> None:
    """NotImplementedError where the named method has a limit of size, and this is beyond it."""
    refusal = getattr(METHODS.get(method or ""), "refusal", None)
    reason = refusal and refusal(geometry, c_in, c_out)
    if reason:
        raise NotImplementedError(f'method="{method}" is too large here: {reason}; method=None has no such limit')


def choose(
    op: str,
    geometry: Geometry,
    c_in: int,
    c_out: int,
    batch: Any,
    platform: str | None,
    method: str | None,
    several_devices: bool = False,
) -> Choice:
    """The named method where it has a form of `op`, else what suits the platform (None is one not listed)."""
    if method is not None and hasattr(METHODS[method], op):
        return Choice(op, method, f'method="{method}" was asked for and has a form of {op}')
    if platform == "cpu":
        return cpu.choose(op, geometry, c_in, c_out, batch, several_devices)
    rules = {"cuda": _on_gpu, "rocm": _on_gpu}
    return rules.get(platform or "", _elsewhere)(op, geometry, c_in, c_out)


def _on_gpu(op: str, geometry: Geometry, c_in: int, c_out: int) -> Choice:
    if op == "C":
        return Choice(op, "lhs_dilation", "a strided convolution: cuDNN's forward")
    if op == "W":
        return Choice(op, "lhs_dilation", "a dilated filter and no dilated image: cuDNN's backward-filter")
    # XLA matches backward-data only then (its convolution rewriter); else it writes out the zero-stuffed input.
    cropped = zip(geometry.kernel_size, geometry.padding_low, geometry.padding_high, strict=True)
    if geometry.groups == 1 and set(geometry.dilation) == {1} and all(max(low, high) < k for k, low, high in cropped):
        return Choice(op, "lhs_dilation", "ungrouped, undilated, padding within the kernel: cuDNN's backward-data")
    if max(geometry.stride) == 1:
        return Choice(op, "lhs_dilation", "stride 1: a plain convolution, with no zeros to avoid")
    return Choice(op, "subpixel", "no form of cuDNN's backward-data, and XLA would write out the zeros of the stride")


def _elsewhere(op: str, geometry: Geometry, c_in: int, c_out: int) -> Choice:
    return Choice(op, "lhs_dilation", "one dilated convolution, which a TPU computes without touching the zeros")
