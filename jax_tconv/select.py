"""Which algorithm computes which op: the rules, and `select_method` to ask them.

The rules see shapes, dtype and platform, never the batch size, which may be unknown when a program is exported. They
decide where an op is lowered, so that jit, eager calls and programs exported for another platform all get the same.
"""

import dataclasses
from types import ModuleType

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jax_tconv.arguments import IntOrInts, Padding
from jax_tconv.checks import check_method, check_name
from jax_tconv.geometry import Geometry
from jax_tconv.methods import METHODS
from jax_tconv.problem import problem
from jax_tconv.roles import OPERANDS

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


@dataclasses.dataclass(frozen=True)
class Choice:
    """The method that computes an op, and why."""

    op: str
    method: str
    reason: str

    @property
    def module(self) -> ModuleType:
        """Where the method is."""
        return METHODS[self.method]


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
    dtype: DTypeLike = jnp.float32,
    op: str = "T",
    platform: str | None = None,
) -> Choice:
    """Which algorithm `conv_transpose` uses for these shapes, and why; computes nothing.

    Args:
      x_shape, kernel_shape: the shapes of `conv_transpose`'s arrays; a batch axis may be None or symbolic.
      stride, padding, output_padding, output_size, dilation, groups, data_format, method: as passed to it.
      dtype: the dtype of the arrays.
      op: `"T"`, the transposed convolution; `"C"`, its gradient in the input; `"W"`, its gradient in the kernel.
      platform: `"cpu"`, `"cuda"`, `"rocm"` or `"tpu"`; None means JAX's default backend.

    Returns:
      A `Choice`, with `op`, `method` (the name) and `reason` (a sentence).

    Raises:
      TypeError, ValueError: as `conv_transpose` does; an unknown op or platform.

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
    return choose(op, call.geometry, call.c_in, call.c_out, jnp.dtype(dtype), platform, method)


def choose(
    op: str, geometry: Geometry, c_in: int, c_out: int, dtype: jnp.dtype, platform: str | None, method: str | None
) -> Choice:
    """The named method where it has a form of `op`, else what suits the platform (None is one not listed)."""
    if method is not None and hasattr(METHODS[method], op):
        return Choice(op, method, f'method="{method}" was asked for and has a form of {op}')
    rules = {"cpu": _on_cpu, "cuda": _on_gpu, "rocm": _on_gpu}
    name, reason = rules.get(platform or "", _elsewhere)(op, geometry, c_in)
    return Choice(op, name, reason)


def _on_cpu(op: str, geometry: Geometry, c_in: int) -> tuple[str, str]:
    strided = max(geometry.stride) > 1
    apart = all(
        k <= s and d == 1 for k, s, d in zip(geometry.kernel_size, geometry.stride, geometry.dilation, strict=True)
    )
    match op:
        case "T" if strided and c_in == geometry.groups:
            return "col2im", "one channel a group: a product a tap, where XLA's grouped convolution is a slow loop"
        case "T" if strided:
            return "subpixel", "XLA's CPU compiler would multiply the zeros that the stride puts between input rows"
        case "T":
            return "lhs_dilation", "stride 1: a plain convolution, with no zeros to avoid"
        case "C":
            return "lhs_dilation", "a strided convolution, which XLA computes as such"
        case _ if apart:
            return "col2im", "taps do not overlap: the output's cotangent is its own patches, and one product does it"
        case _:
            return "lhs_dilation", "the forward convolution's filter gradient, without a buffer of patches"


def _on_gpu(op: str, geometry: Geometry, c_in: int) -> tuple[str, str]:
    if op == "C":
        return "lhs_dilation", "a strided convolution: cuDNN's forward"
    if op == "W":
        return "lhs_dilation", "a dilated filter and no dilated image: cuDNN's backward-filter"
    # XLA matches backward-data only then (its gpu conv_rewriter); else it materialises the zero-stuffed input.
    cropped = zip(geometry.kernel_size, geometry.padding_low, geometry.padding_high, strict=True)
    if geometry.groups == 1 and set(geometry.dilation) == {1} and all(max(low, high) < k for k, low, high in cropped):
        return "lhs_dilation", "ungrouped, undilated, padding within the kernel: cuDNN's backward-data"
    if max(geometry.stride) == 1:
        return "lhs_dilation", "stride 1: a plain convolution, with no zeros to avoid"
    return "subpixel", "not a form of cuDNN's backward-data: XLA would write out the zeros that the stride puts in"


def _elsewhere(op: str, geometry: Geometry, c_in: int) -> tuple[str, str]:
    return "lhs_dilation", "one dilated convolution, which a TPU computes without touching the zeros"
