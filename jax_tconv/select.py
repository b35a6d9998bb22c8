"""Which algorithm computes which op: the rules, and `select_method` to ask them.

The rules see shapes and platform; a batch size that is unknown, as in a program that is exported, counts as one. They
decide where an op is lowered, so that jit, eager calls and programs exported for another platform all get the same.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax

from jax_tconv.arguments import IntOrInts, Padding
from jax_tconv.checks import check_method, check_name
from jax_tconv.geometry import Geometry
from jax_tconv.grouping import by_group
from jax_tconv.methods import METHODS
from jax_tconv.methods.col2im import mostly_seams
from jax_tconv.problem import problem
from jax_tconv.roles import OPERANDS

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")

# Taps in all; from here on, patches are many times larger than what they are taken from.
LARGE_KERNEL = 100
# Channels, from which a product's speed pays for laying its operands out.
WIDE = 128
# Columns of patches, up to which they are laid out for all taps at once.
MAX_PATCH = 2048
# Values in a kernel, from which its copies no longer fit the cache.
HEAVY_KERNEL = 2**21
# Groups computed one by one: compile time grows with each, and 64 of them take 2 s an op.
MAX_SEPARATE_GROUPS = 16


@dataclasses.dataclass(frozen=True)
class Choice:
    """The method that computes an op, and why.

    `by_group` says that it does so group by group, `whole` that it takes the image whole where it would otherwise take
    a few rows at a time.
    """

    op: str
    method: str
    reason: str
    by_group: bool = False
    whole: bool = False

    @property
    def compute(self) -> Callable[..., jax.Array]:
        """The function that computes the op; `jax_tconv.methods` says what it takes."""
        function: Callable[..., jax.Array] = getattr(METHODS[self.method], self.op)
        function = functools.partial(function, whole=True) if self.whole else function
        return by_group(self.op, function) if self.by_group else function


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
        return _on_cpu(op, geometry, c_in, c_out, batch, several_devices)
    rules = {"cuda": _on_gpu, "rocm": _on_gpu}
    return rules.get(platform or "", _elsewhere)(op, geometry, c_in, c_out)


def _on_cpu(op: str, geometry: Geometry, c_in: int, c_out: int, batch: Any, several_devices: bool) -> Choice:
    groups = geometry.groups
    if op == "W" and several_devices:
        return Choice(op, "col2im", "several devices: one product, so one sum over them", whole=True)
    if groups > 1 and c_in == c_out == groups:
        return Choice(op, "taps", "a channel a group: multiplications a tap, which XLA fuses")
    if 1 < groups <= MAX_SEPARATE_GROUPS:
        alone = _on_cpu(op, geometry.with_groups(1), c_in // groups, c_out // groups, batch, False)
        return dataclasses.replace(alone, by_group=True)
    axes, taps = geometry.axes, math.prod(geometry.kernel_size)
    plain = groups == 1 and geometry.ndim <= 2 and set(geometry.dilation) == {1}
    apart = all(axis.kernel_size <= axis.stride and axis.dilation == 1 for axis in axes)
    even = all(axis.kernel_size % axis.stride == 0 for axis in axes)
    c_in, c_out = c_in // groups, c_out // groups
    pixels = math.prod(geometry.input_size) * (batch if isinstance(batch, int) else 1)
    # Laying so large a kernel out anew, as the products of other methods need it, costs more than they do.
    heavy = geometry.ndim > 1 and pixels < c_out and taps * c_in * c_out >= HEAVY_KERNEL
    narrow = c_in < WIDE or c_out < WIDE // 2
    if op == "W" and not apart and narrow and taps <= LARGE_KERNEL and taps * c_out <= MAX_PATCH:
        return Choice(op, "col2im", "few channels: all taps in one product, a few rows at a time")
    if op != "T" and (apart or taps > LARGE_KERNEL):
        return Choice(op, "subpixel", "blocks of the cotangent: a copy of it, where patches would be more")
    if op == "W":
        return Choice(op, "taps", "a product a tap, and nothing the size of patches")
    if op == "C" and heavy:
        return Choice(op, "taps", "fewer pixels than channels out: products a tap, which leave the kernel as it is")
    if op == "C" and plain and (c_out < WIDE // 4 or geometry.ndim == 1):
        return Choice(op, "lhs_dilation", "few channels out: a strided convolution, computed as such")
    if op == "C":
        return Choice(op, "col2im", "a product with the cotangent's patches, a few rows at a time")
    if math.prod(geometry.output_size) > 2 * math.prod(geometry.input_size + geometry.stride):
        return Choice(op, "col2im", "few pixels and a large kernel: other methods would multiply the zeros around them")
    if taps > LARGE_KERNEL or (plain and even and not apart and (c_out < WIDE or heavy)):
        return Choice(op, "subpixel", "one plain convolution for all phases, which have as many taps each")
    if apart or not ((even and geometry.ndim > 1) or mostly_seams(geometry, batch, c_out)):
        return Choice(op, "col2im", "a product with all taps at once, a few rows at a time, and their sum")
    return Choice(op, "im2col", "a product a phase, with the input's patches, a few rows at a time")


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
