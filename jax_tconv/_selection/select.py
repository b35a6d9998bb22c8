"""Which method computes which op: the tables of rules by platform, and `select_method` to ask them.

The rules see shapes and platform; a batch size that is unknown, as in a program that is exported, counts as one. They
decide where an op is lowered, so that jit, eager calls and programs exported for another platform all get the same.
"""

import dataclasses
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jax_tconv._call.arguments import DataFormat, IntOrInts, Method, Padding, check_method, check_name
from jax_tconv._call.call import OPS, Call, Op, checked_call
from jax_tconv._methods import METHODS
from jax_tconv._methods.packing import packed
from jax_tconv._methods.products import side_by_side
from jax_tconv._selection import cpu, gpu, tpu
from jax_tconv._selection.rules import Rules, deciding

Platform: TypeAlias = Literal["cpu", "cuda", "rocm", "tpu"]

PLATFORMS: tuple[Platform, ...] = get_args(Platform)
TABLES: dict[Platform, Rules] = {"cpu": cpu.RULES, "cuda": gpu.RULES, "rocm": gpu.RULES, "tpu": tpu.RULES}


@dataclasses.dataclass(frozen=True)
class Choice:
    """The method that computes an op, and why; `print` it for both.

    Attributes:
      op: `"forward"`, `"input_gradient"` or `"kernel_gradient"`.
      method: the method's name.
      variant: which of its ways of computing the op it takes; empty where it has one only.
      reason: why, in a sentence.
      when: the condition of the rule that chose it; empty for a method that was asked for.
      measured: a layer that the rule was found with, and its times; empty where there is none.
      by_group: whether it is applied to one group after the other.
      packs: into how many the groups are merged, each of which it takes for one group; 0 where they are not.
      whole: whether it takes the image whole, as on all platforms but a CPU, and not a few rows at a time.

    Example:
      >>> from jax_tconv import select_method
      >>> print(select_method((1, 64, 64, 512), (2, 2, 512, 256), stride=2, platform="cpu", op="input_gradient"))
      input_gradient by subpixel: one product with blocks of the cotangent, and no patches of it are laid out
        rule: kernel at most stride, undilated
        measured: U-Net, k2 s2: 9 ms, as a convolution 18
    """

    op: Op
    method: Method
    reason: str
    variant: str = ""
    when: str = ""
    measured: str = ""
    by_group: bool = False
    packs: int = 0
    whole: bool = False

    @property
    def compute(self) -> Callable[..., jax.Array]:
        """The function that computes the op; `jax_tconv._methods` says what it takes."""
        function: Callable[..., jax.Array] = getattr(METHODS[self.method], self.op)
        if self.packs:
            return packed(self.op, function, self.packs)
        return side_by_side(self.op, function) if self.by_group else function

    def __str__(self) -> str:
        how = [f"({self.variant})"] if self.variant else []
        how += ["group by group"] if self.by_group else []
        how += [f"the groups in packs, {self.packs} in all"] if self.packs else []
        lines = [f"{self.op} by {' '.join([self.method, *how])}: {self.reason}"]
        lines += [f"  rule: {self.when}"] if self.when else []
        lines += [f"  measured: {self.measured}"] if self.measured else []
        return "\n".join(lines)


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
    data_format: DataFormat = "channels_last",
    method: Method | None = None,
    op: Op = "forward",
    platform: Platform | Literal["gpu"] | None = None,
    dtype: DTypeLike = "float32",
) -> Choice:
    """Which algorithm `conv_transpose` uses for these shapes, and why; computes nothing.

    Args:
      x_shape, kernel_shape: the shapes of `conv_transpose`'s arrays; a batch axis may be None or symbolic.
      stride, padding, output_padding, output_size, dilation, groups, data_format, method: as passed to it.
      op: `"forward"`, the transposed convolution; `"input_gradient"` or `"kernel_gradient"`, its two adjoints.
      platform: `"cpu"`, `"cuda"` (or `"gpu"`), `"rocm"` or `"tpu"`; None means JAX's default backend.
      dtype: of the arrays.

    Returns:
      A `Choice`: the method, its variant, and the rule that chose it. `jax-tconv rules` shows all rules.

    Raises:
      TypeError, ValueError, NotImplementedError: as `conv_transpose` does; an unknown op or platform.

    Example:
      >>> from jax_tconv import select_method
      >>> select_method((None, 32, 32, 64), (4, 4, 64, 32), stride=2, padding=1, platform="cuda").method
      'lhs_dilation'
    """
    check_name("op", op, OPS)
    check_method(method)
    platform = jax.default_backend() if platform is None else platform  # type: ignore[assignment]
    platform = "cuda" if platform == "gpu" else platform
    check_name("platform", platform, PLATFORMS)
    for name, shape in (("x_shape", x_shape), ("kernel_shape", kernel_shape)):
        if not isinstance(shape, tuple | list):
            raise TypeError(
                f"{name} must be a shape, a tuple of ints, got {type(shape).__name__}; pass the array's .shape"
            )
    call = checked_call(
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
    check_size(method, call)
    dtype = jnp.dtype(dtype).name
    return choose(op, dataclasses.replace(call, dtype=dtype, result_dtype=dtype), platform, method)


def check_size(method: Method | None, call: Call) -> None:
    """NotImplementedError where the named method has a limit of size, and this is beyond it."""
    refusal = getattr(METHODS[method], "refusal", None) if method else None
    if refusal and (reason := refusal(call)):
        raise NotImplementedError(f'method="{method}" is too large here: {reason}; method=None has no such limit')


def choose(op: Op, call: Call, platform: Platform | None, method: Method | None = None) -> Choice:
    """The named method where it has a form of `op`, else what suits the platform; None is one that is not listed.

    NotImplementedError where that form cannot be had on the platform.
    """
    call = dataclasses.replace(call, whole=platform != "cpu" or call.several_devices)
    if method is not None and hasattr(METHODS[method], op):
        if why := _refusal(op, method, call, platform):
            raise NotImplementedError(
                f'method="{method}" cannot compute {op} on {platform}: {why}; method=None has no such limit'
            )
        reason = f'method="{method}" was asked for and has a form of it'
        return Choice(op, method, reason, _variant(method, op, call), whole=call.whole)
    rule = deciding(TABLES.get(platform, tpu.RULES)[op], call)  # type: ignore[arg-type]
    if rule.method is None and rule.packs:
        packs = rule.packs(call)
        return dataclasses.replace(choose(op, call.with_groups(packs), platform), packs=packs)
    if rule.method is None:
        return dataclasses.replace(choose(op, call.of_one_group(), platform), by_group=True)
    how = _variant(rule.method, op, call)
    return Choice(op, rule.method, rule.because, how, rule.when.words, rule.measured, whole=call.whole)


def _refusal(op: Op, method: Method, call: Call, platform: Platform | None) -> str | None:
    """Why the method cannot compute `op` on the platform, or None."""
    platforms = getattr(METHODS[method], "PLATFORMS", None)
    if platforms:
        return METHODS[method].limit(op, call) if platform in platforms else f"it is made for {', '.join(platforms)}"
    return gpu.refusal(op, method, call) if platform in ("cuda", "rocm") else None


def _variant(method: Method, op: Op, call: Call) -> str:
    function = getattr(METHODS[method], "variant", None)
    return function(op, call) if function else ""
