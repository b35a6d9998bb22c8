"""What the rules for a TPU ask of a call: sizes against those of its tiles, and of the programs that it takes."""

import math

from jax_tconv._call.call import Call, Op
from jax_tconv._methods import fused, packing, taps
from jax_tconv._methods.fused.blocks import LANES
from jax_tconv._selection.conditions import apart, depthwise
from jax_tconv._selection.rules import Condition

# Examples from which on XLA's convolutions fill their tiles.
BATCH = 8
# The kernels' programs grow with the taps.
MANY_TAPS = 64
# So many that the program of a product with all of them takes the compiler longer than is worth it.
VERY_MANY_TAPS = 1024
# Channels out that leave a tile mostly empty, and channels that a pack must have in all.
NARROW, NARROW_PACK = 16, 32
# Pixels of an example, below which a kernel's products are mostly padding; and from which on a convolution is tall.
FEW_PIXELS, MANY_PIXELS = 16, 4096


def _few_taps(call: Call) -> bool:
    return call.taps <= MANY_TAPS


def _pixels(call: Call) -> int:
    return math.prod(call.geometry.input_size)


def _fills_tiles(call: Call) -> bool:
    return call.known_batch >= BATCH


def _packs(call: Call) -> bool:
    groups = call.geometry.groups
    narrow = max(call.group_in, call.group_out) <= LANES and min(call.c_in, call.c_out) >= NARROW_PACK
    return narrow and _few_taps(call) and packing.packs(call) < groups


def _fused(op: Op, call: Call) -> bool:
    return _few_taps(call) and call.group_out >= NARROW and fused.limit(op, call) is None


def _half(call: Call) -> bool:
    return call.dtype in ("bfloat16", "float16")


def _narrow(call: Call) -> bool:
    return call.geometry.groups == 1 and call.group_out < NARROW


def _cropped(call: Call) -> bool:
    axes = zip(call.geometry.axes, call.geometry.padding_low, strict=True)
    return any(low > (axis.kernel_size - 1) * axis.dilation for axis, low in axes)


def _convolution(call: Call) -> bool:
    """Where XLA's convolution is ahead of the kernels at a full batch: they pad more, or their caller lays out more."""
    if not (_fills_tiles(call) and _few_taps(call)):
        return False
    narrow = NARROW <= call.group_out < LANES
    laid_out = narrow and (call.geometry.ndim == 2 and max(call.geometry.stride) > 2)
    plain = narrow and call.geometry.ndim > 2 and max(call.geometry.stride) == 1
    return laid_out or plain or _cropped(call)


_EXAMPLES = f"{BATCH} examples or more"
_FEWER = f"fewer than {BATCH} examples"

ZEROS_ON_SEVERAL_DEVICES = Condition(
    f"more than {MANY_TAPS} taps or stride 4 or more, split over several devices",
    lambda call: call.several_devices and (not _few_taps(call) or max(call.geometry.stride) >= 4),
)
PACKS = Condition(
    f"several groups, of up to {LANES} channels each and at least {NARROW_PACK} in all, and at most {MANY_TAPS} taps",
    _packs,
)
FULL_GROUPS = Condition(
    f"several groups, of one channel in and out or {LANES} in or out, and {_EXAMPLES}",
    lambda call: (
        _fills_tiles(call)
        and (depthwise(call) or (call.geometry.groups > 1 and max(call.group_in, call.group_out) == LANES))
    ),
)
DENSE_PACKS = Condition(
    f"{PACKS.words}; not of one channel in and out nor, of {_EXAMPLES}, dilated nor, of those or in half precision, of "
    f"{LANES} channels",
    lambda call: (
        PACKS.holds(call)
        and not FULL_GROUPS.holds(call)
        and not (_half(call) and max(call.group_in, call.group_out) == LANES)
        and not depthwise(call)
        and not (_fills_tiles(call) and max(call.geometry.dilation) > 1)
    ),
)
NARROW_DEPTHWISE = Condition(
    f"several groups, of one channel in and out, at most {MANY_TAPS} taps, and {_FEWER}",
    lambda call: depthwise(call) and _few_taps(call) and not _fills_tiles(call),
)
GROUPS_OF_MANY_TAPS = Condition(
    f"several groups, and more than {MANY_TAPS} taps", lambda call: call.geometry.groups > 1 and not _few_taps(call)
)
TINY = Condition(f"fewer than {FEW_PIXELS} pixels", lambda call: _pixels(call) < FEW_PIXELS)
ONE_PIXEL = Condition("one pixel, padded", lambda call: _pixels(call) == 1 and max(call.geometry.padding_low) > 0)
AS_TINY = Condition(f"at most {FEW_PIXELS} pixels", lambda call: _pixels(call) <= FEW_PIXELS)
PLAIN = Condition(
    f"{_EXAMPLES}; padding as large as the kernel or, of {NARROW} to {LANES - 1} channels out, in two axes stride "
    "above 2 or in three stride 1",
    _convolution,
)
DENSE = Condition(
    f"{_EXAMPLES}; one tap, or {FEW_PIXELS} to {MANY_TAPS} of at least {LANES} channels out",
    lambda call: (
        _fills_tiles(call) and (call.taps == 1 or (FEW_PIXELS <= call.taps <= MANY_TAPS and call.group_out >= LANES))
    ),
)
NARROW_APART = Condition(
    f"two axes, kernel as large as stride, undilated, fewer than {LANES} channels out, and {_FEWER}",
    lambda call: (
        apart(call)
        and call.geometry.kernel_size == call.geometry.stride
        and call.geometry.ndim == 2
        and call.group_out < LANES
        and not _fills_tiles(call)
    ),
)
_KERNEL = f"two axes or more, float32 or bfloat16, at least {NARROW} channels out, and at most {MANY_TAPS} taps"
FORWARD_KERNEL = Condition(_KERNEL, lambda call: _fused("forward", call))
INPUT_GRADIENT_KERNEL = Condition(
    f"{_KERNEL}; not, of {_EXAMPLES} in half precision, four axes or more",
    lambda call: _fused("input_gradient", call) and not (_half(call) and _fills_tiles(call) and call.geometry.ndim > 3),
)
MANY_TAPS_1D_FEWER = Condition(
    f"one axis, more than {MANY_TAPS} taps, and {_FEWER}",
    lambda call: call.geometry.ndim == 1 and not _few_taps(call) and not _fills_tiles(call),
)
MANY_TAPS_1D = Condition(
    f"one axis, and at least {MANY_TAPS} taps", lambda call: call.geometry.ndim == 1 and call.taps >= MANY_TAPS
)
FEW_OUT_2D = Condition(
    f"several axes, ungrouped, fewer than {NARROW} channels out, at most 16 taps, and {_FEWER}",
    lambda call: call.geometry.ndim > 1 and _narrow(call) and call.taps <= 16 and not _fills_tiles(call),
)
FEW_OUT = Condition(
    f"ungrouped, fewer than {NARROW} channels out, and at most {MANY_TAPS} taps, or {2 * MANY_TAPS} of {_FEWER}; not, "
    f"of {_EXAMPLES} in half precision, fewer than {MANY_PIXELS} pixels",
    lambda call: (
        _narrow(call)
        and call.taps <= (1 if _fills_tiles(call) else 2) * MANY_TAPS
        and not (_half(call) and _fills_tiles(call) and _pixels(call) < MANY_PIXELS)
    ),
)
NARROW_OUT = Condition(
    f"ungrouped, fewer than {NARROW} channels out, and {_FEWER} or at least {MANY_PIXELS} pixels",
    lambda call: _narrow(call) and (not _fills_tiles(call) or _pixels(call) >= MANY_PIXELS),
)
FEW_PIXELS_1D = Condition(
    f"one axis, and fewer pixels than channels in and out, of at most {MANY_TAPS} taps",
    lambda call: call.geometry.ndim == 1 and taps.variant("forward", call) == "one batched product",
)
FEW_EXAMPLES_1D = Condition(f"one axis, and {_FEWER}", lambda call: call.geometry.ndim == 1 and not _fills_tiles(call))
FEW_TAPS_1D = Condition(
    f"one axis, at least 512 pixels, and at most 16 taps or, of {_EXAMPLES}, 4 and a stride above 1",
    lambda call: (
        call.geometry.ndim == 1
        and _pixels(call) >= 512
        and (call.taps <= 4 and call.geometry.stride[0] > 1 if _fills_tiles(call) else call.taps <= 16)
    ),
)
MANY_TAPS_WIDE = Condition(
    f"more than {MANY_TAPS} taps, and at least {LANES} channels in",
    lambda call: not _few_taps(call) and call.group_in >= LANES,
)
MANY_TAPS_WIDE_OR_VERY_MANY = Condition(
    f"{MANY_TAPS_WIDE.words}; or more than {VERY_MANY_TAPS} taps",
    lambda call: MANY_TAPS_WIDE.holds(call) or call.taps > VERY_MANY_TAPS,
)
MANY_TAPS_FULL = Condition(
    f"more than {MANY_TAPS} taps, up to {4 * MANY_TAPS}, and {_EXAMPLES}",
    lambda call: MANY_TAPS < call.taps <= 4 * MANY_TAPS and _fills_tiles(call),
)
MORE_TAPS = Condition(f"more than {MANY_TAPS} taps", lambda call: not _few_taps(call))
MANY_TAPS_OF_MANY = Condition(
    f"more than {MANY_TAPS} taps on several axes, and {_EXAMPLES}, {MANY_PIXELS} pixels or {MANY_PIXELS} taps",
    lambda call: (
        not _few_taps(call)
        and call.geometry.ndim > 1
        and (_fills_tiles(call) or max(_pixels(call), call.taps) >= MANY_PIXELS)
    ),
)
MORE_TAPS_FEWER = Condition(
    f"more than {MANY_TAPS} taps, and {_FEWER}", lambda call: not _few_taps(call) and not _fills_tiles(call)
)
MANY_MORE_TAPS = Condition(
    f"more than {4 * MANY_TAPS} taps on one axis or, of {_FEWER}, on several, there with more than 256 pixels or "
    f"{VERY_MANY_TAPS} taps",
    lambda call: (
        call.taps > 4 * MANY_TAPS
        and (
            call.geometry.ndim == 1 or (not _fills_tiles(call) and (_pixels(call) > 256 or call.taps > VERY_MANY_TAPS))
        )
    ),
)
HALF_TINY = Condition(
    f"half precision, fewer than {FEW_PIXELS} pixels, at most {FEW_PIXELS} taps, and {_FEWER}",
    lambda call: (
        _half(call)
        and call.geometry.groups == 1
        and call.geometry.ndim > 1
        and _pixels(call) < FEW_PIXELS >= call.taps
        and not _fills_tiles(call)
    ),
)
HALF_GAPS = Condition(
    f"half precision, ungrouped, kernel smaller than stride, and {_FEWER}",
    lambda call: (
        _half(call)
        and call.geometry.groups == 1
        and all((axis.kernel_size - 1) * axis.dilation + 1 < axis.stride for axis in call.geometry.axes)
        and not _fills_tiles(call)
    ),
)
TALL = Condition(
    f"more than {MANY_TAPS} taps, stride 8 or more, at least {MANY_PIXELS} pixels, and {_FEWER}",
    lambda call: MORE_TAPS_FEWER.holds(call) and max(call.geometry.stride) >= 8 and _pixels(call) >= MANY_PIXELS,
)


def _tall_and_narrow(call: Call) -> bool:
    geometry = call.geometry
    plain = geometry.groups == 1 and max(geometry.dilation) == 1 < max(geometry.stride) and _few_taps(call)
    few = call.taps <= 4 or call.group_out < NARROW or not _fills_tiles(call)
    return plain and few and call.group_out < LANES and _pixels(call) >= MANY_PIXELS


TALL_AND_NARROW = Condition(
    f"ungrouped, undilated, stride above 1, at least {MANY_PIXELS} pixels, up to {MANY_TAPS} taps and {LANES - 1} "
    f"channels out; of {_EXAMPLES} up to 4 taps, or up to {NARROW - 1} channels out",
    _tall_and_narrow,
)
