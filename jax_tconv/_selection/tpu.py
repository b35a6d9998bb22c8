"""The rules for a TPU: two kernels of our own where they apply, and else what suits the tiles of XLA's programs.

The times are estimates for a v5e, from the compiler's own cycles and the bytes that its programs move
(`tests/accelerators`); nothing was timed on a device.

- XLA's convolutions take 8 examples in about the time of one. From a batch of 8 on they are seldom far from the best,
  except where zeros between rows are most of what they multiply.
- A product fills the matrix unit with pixels instead, at any batch; what it saves, it may lose in laying out operands
  and in interleaving phases, whose rows have to change places within tiles.
- The kernels lay out nothing in memory. They need a tile's width of channels to be worth it.
"""

import math

from jax_tconv._call.call import Call, Op
from jax_tconv._methods import fused, packing, taps
from jax_tconv._methods.fused.blocks import LANES
from jax_tconv._selection.conditions import (
    DEPTHWISE_ON_SEVERAL_DEVICES,
    GROUPS_ON_SEVERAL_DEVICES,
    SEVERAL_DEVICES,
    SPLIT_GROUPS,
    SPLIT_MULTIPLICATIONS,
    apart,
    depthwise,
)
from jax_tconv._selection.rules import OTHERWISE, Condition, Rule, Rules

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
    lambda call: call.geometry.groups > 1 and _packs(call),
)
DENSE_PACKS = Condition(
    f"{PACKS.words}; not of one channel in and out", lambda call: PACKS.holds(call) and not depthwise(call)
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
FULL_DEPTHWISE = Condition(
    f"several groups, of one channel in and out, and {_EXAMPLES}",
    lambda call: depthwise(call) and _fills_tiles(call),
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
INPUT_GRADIENT_KERNEL = Condition(_KERNEL, lambda call: _fused("input_gradient", call))
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
    f"ungrouped, fewer than {NARROW} channels out, and at most {MANY_TAPS} taps, or {2 * MANY_TAPS} of {_FEWER}",
    lambda call: _narrow(call) and call.taps <= (1 if _fills_tiles(call) else 2) * MANY_TAPS,
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
    f"one axis, at most 16 taps, at least 512 pixels, and {_FEWER}",
    lambda call: FEW_EXAMPLES_1D.holds(call) and call.taps <= 16 and _pixels(call) >= 512,
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
    f"more than {4 * MANY_TAPS} taps, and {_FEWER}",
    lambda call: MORE_TAPS_FEWER.holds(call) and call.taps > 4 * MANY_TAPS,
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

_ONE_CONVOLUTION = "one convolution, which the compiler splits by examples, rows and channels"
_AS_ONE = "side by side they fill the matrix unit, which multiplies the zeros between them in no time"
_MULTIPLICATIONS = "one multiplication per tap, and no unit for matrices to fill"
_ONE_STEP = "one kernel: nothing is laid out anew in memory, before the products or after them"
_PLAIN = "one convolution, whose tiles are full"
_FEW_STEPS = "one convolution, where little is multiplied in vain"

RULES: Rules = {
    "forward": (
        Rule(DEPTHWISE_ON_SEVERAL_DEVICES, "taps", SPLIT_MULTIPLICATIONS),
        Rule(GROUPS_ON_SEVERAL_DEVICES, "im2col", SPLIT_GROUPS),
        Rule(ZEROS_ON_SEVERAL_DEVICES, "im2col", "products, which are split by rows, and no zeros between rows"),
        Rule(SEVERAL_DEVICES, "lhs_dilation", _ONE_CONVOLUTION),
        Rule(PACKS, None, _AS_ONE, packs=packing.packs),
        Rule(NARROW_DEPTHWISE, "taps", _MULTIPLICATIONS, "GTCRN, 16 channels, dilation 5: 30 us, in a pack 36"),
        Rule(GROUPS_OF_MANY_TAPS, "lhs_dilation", "one convolution, in a program that does not grow with the taps"),
        Rule(TINY, "lhs_dilation", _FEW_STEPS, "DCGAN's first layer, 1x1 to 4x4: 5 us, others 7 to 40"),
        Rule(PLAIN, "lhs_dilation", _PLAIN, "k2 s3, 64 channels, batch 16: 166 us, in one kernel 369"),
        Rule(
            NARROW_APART,
            "taps",
            "one product makes all phases, and the compiler puts the columns, not the channels, into lanes",
            "SAM, k2 s2, 32 channels: 37 us, in one kernel 75, as a convolution 73",
        ),
        Rule(FORWARD_KERNEL, "fused", _ONE_STEP, "CycleGAN, k3 s2: 17 us, others 110 to 896; at batch 16 247, 935"),
        Rule(
            MANY_TAPS_1D,
            "subpixel",
            "one convolution for all phases, of a few taps each",
            "k512 s128 to one channel: 10 us, as a convolution 6,552",
        ),
        Rule(
            FEW_OUT_2D,
            "subpixel",
            "one convolution, with the phases for channels",
            "VQ-VAE-2, 3 channels out: 43 us, as a convolution of one phase after the other 94",
        ),
        Rule(
            FEW_OUT,
            "taps",
            "one product per tap for all phases, which fill the tiles that a few channels would not",
            "FSRCNN, k9 s3 to one channel: 70 us, as a convolution 2,521",
        ),
        Rule(
            FEW_PIXELS_1D,
            "taps",
            "one product for each tap, in one batch, takes the kernel as it is stored",
            "k20 s10, 512 to 256 channels: 25 us, as a convolution 33",
        ),
        Rule(
            FEW_EXAMPLES_1D,
            "im2col",
            "one product per phase, whose rows are pixels and not examples",
            "HiFi-GAN, k16 s8: 26 us, as a convolution 185",
        ),
        Rule(MANY_TAPS_FULL, "lhs_dilation", _PLAIN, "FCN-8s, k16 s8, batch 16: 11 ms, im2col 16"),
        Rule(
            MANY_TAPS_WIDE_OR_VERY_MANY,
            "subpixel",
            "one convolution for all phases, and no patches are laid out",
            "64x64 s32, 1000 to 21 channels, batch 16: 7 ms, im2col 8",
        ),
        Rule(
            MORE_TAPS,
            "im2col",
            "one product for all phases of a block, and no zeros between rows",
            "32x32 s16, 21 channels: 119 us, as a convolution 25,830",
        ),
        Rule(OTHERWISE, "lhs_dilation", _PLAIN),
    ),
    "input_gradient": (
        Rule(DEPTHWISE_ON_SEVERAL_DEVICES, "taps", SPLIT_MULTIPLICATIONS),
        Rule(GROUPS_ON_SEVERAL_DEVICES, "col2im", SPLIT_GROUPS),
        Rule(SEVERAL_DEVICES, "lhs_dilation", _ONE_CONVOLUTION),
        Rule(FULL_DEPTHWISE, "lhs_dilation", _PLAIN, "CenterNet, k4 s2, batch 16: 403 us, in a pack 650"),
        Rule(PACKS, None, _AS_ONE, packs=packing.packs),
        Rule(NARROW_DEPTHWISE, "taps", _MULTIPLICATIONS, "GTCRN, 16 channels, dilation 5: 18 us, in a pack 35"),
        Rule(GROUPS_OF_MANY_TAPS, "lhs_dilation", "one convolution, in a program that does not grow with the taps"),
        Rule(
            ONE_PIXEL,
            "taps",
            "one product per tap, of which the padding leaves few",
            "k4 s2 to one pixel, 512 channels, batch 16: 25 us, as a convolution 86",
        ),
        Rule(AS_TINY, "lhs_dilation", _FEW_STEPS, "DCGAN's first layer, 4x4 to 1x1: 4 us, others 7 to 47"),
        Rule(PLAIN, "lhs_dilation", _PLAIN, "k2 s3, 64 channels, batch 16: 156 us, in one kernel 369"),
        Rule(DENSE, "lhs_dilation", _PLAIN, "k4 s2 in three axes, 256 channels, batch 16: 205 us, in one kernel 325"),
        Rule(
            NARROW_APART,
            "col2im",
            "one product with the cotangent's patches, which are the cotangent in another order",
            "SAM, k2 s2, 32 channels: 40 us, in one kernel 80, as a convolution 68",
        ),
        Rule(
            INPUT_GRADIENT_KERNEL, "fused", _ONE_STEP, "CycleGAN, k3 s2: 17 us, others 49 to 202; at batch 16 247, 398"
        ),
        Rule(
            MANY_TAPS_1D_FEWER,
            "subpixel",
            "one product with blocks of the cotangent, of which no patches are laid out",
            "k512 s128 to one channel: 16 us, as a convolution 42",
        ),
        Rule(
            NARROW_OUT,
            "col2im",
            "one product with the cotangent's patches, whose channels are too few to fill a tile",
            "FSRCNN, k9 s3 to one channel: 36 us, as a convolution 130",
        ),
        Rule(
            FEW_TAPS_1D,
            "taps",
            "one product per tap, whose rows are pixels and not examples",
            "HiFi-GAN, k16 s8, 1024 pixels: 25 us, as a convolution 48",
        ),
        Rule(
            MANY_TAPS_WIDE,
            "lhs_dilation",
            "a strided convolution, without a zero in it",
            "64x64 s32, 1000 to 21 channels: 1.3 ms, col2im 2.2",
        ),
        Rule(
            MANY_TAPS_OF_MANY,
            "subpixel",
            "one product with blocks of the cotangent, of which no patches are laid out",
            "FCN-8s, k16 s8: 175 us, col2im 614",
        ),
        Rule(
            MORE_TAPS,
            "col2im",
            "one product with the cotangent's patches, of as many columns as the kernel has taps",
            "bilinear 32x32, 21 channels: 69 us, as a convolution 322",
        ),
        Rule(OTHERWISE, "lhs_dilation", "a strided convolution, without a zero in it"),
    ),
    "kernel_gradient": (
        Rule(DEPTHWISE_ON_SEVERAL_DEVICES, "col2im", SPLIT_GROUPS),
        Rule(GROUPS_ON_SEVERAL_DEVICES, "col2im", SPLIT_GROUPS),
        Rule(SEVERAL_DEVICES, "lhs_dilation", _ONE_CONVOLUTION),
        Rule(DENSE_PACKS, None, _AS_ONE, packs=packing.packs),
        Rule(GROUPS_OF_MANY_TAPS, "lhs_dilation", "one convolution, in a program that does not grow with the taps"),
        Rule(
            MANY_MORE_TAPS,
            "subpixel",
            "one product with blocks of the cotangent, in a program that grows with the taps of one phase only",
            "64x64 s32, 1000 to 21 channels: 1.6 ms, as a convolution 4.0",
        ),
        Rule(
            TALL,
            "subpixel",
            "one product with blocks of the cotangent, of which no patches are laid out",
            "FCN-8s, k16 s8: 261 us, col2im 4,317",
        ),
        Rule(
            MORE_TAPS_FEWER,
            "col2im",
            "one product with patches, where a convolution would meet a kernel as large as the image",
            "FSRCNN, k9 s3 to one channel: 74 us, as a convolution 115",
        ),
        Rule(
            TALL_AND_NARROW,
            "taps",
            "one product per tap, of pixels by channels",
            "SAM, k2 s2, 32 channels: 46 us, as a convolution 177",
        ),
        Rule(
            OTHERWISE,
            "lhs_dilation",
            "one convolution with a dilated filter",
            "CycleGAN, k3 s2: 20 us, others 62 to 245",
        ),
    ),
}
