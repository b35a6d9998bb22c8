"""The rules for a TPU: two kernels of our own where they apply, and else what suits the tiles of XLA's programs.

The times are estimates for a v5e, from the compiler's own cycles and the bytes that its programs move
(`tests/accelerators`); nothing was timed on a device.

- XLA's convolutions take 8 examples in about the time of one. From a batch of 8 on they are seldom far from the best,
  except where zeros between rows are most of what they multiply.
- A product fills the matrix unit with pixels instead, at any batch; what it saves, it may lose in laying out operands
  and in interleaving phases, whose rows have to change places within tiles.
- The kernels lay out nothing in memory. They need a tile's width of channels to be worth it.
"""

from jax_tconv._methods import packing
from jax_tconv._selection import tpu_conditions as when
from jax_tconv._selection.conditions import (
    DEPTHWISE_ON_SEVERAL_DEVICES,
    GROUPS_ON_SEVERAL_DEVICES,
    SEVERAL_DEVICES,
    SPLIT_GROUPS,
    SPLIT_MULTIPLICATIONS,
)
from jax_tconv._selection.rules import OTHERWISE, Rule, Rules

_ONE_CONVOLUTION = "one convolution, which the compiler splits by examples, rows and channels"
_AS_ONE = "side by side they fill the matrix unit, which multiplies the zeros between them in no time"
_MULTIPLICATIONS = "one multiplication per tap, and no unit for matrices to fill"
_ONE_STEP = "one kernel: nothing is laid out anew in memory, before the products or after them"
_PLAIN = "one convolution, whose tiles are full"
_PER_TAP = "one product per tap, of pixels by channels"
_FEW_STEPS = "one convolution, where little is multiplied in vain"

_GROUPS_OF_MANY_TAPS = Rule(
    when.GROUPS_OF_MANY_TAPS, "lhs_dilation", "one convolution, in a program that does not grow with the taps"
)

RULES: Rules = {
    "forward": (
        Rule(DEPTHWISE_ON_SEVERAL_DEVICES, "taps", SPLIT_MULTIPLICATIONS),
        Rule(GROUPS_ON_SEVERAL_DEVICES, "im2col", SPLIT_GROUPS),
        Rule(when.ZEROS_ON_SEVERAL_DEVICES, "im2col", "products, which are split by rows, and no zeros between rows"),
        Rule(SEVERAL_DEVICES, "lhs_dilation", _ONE_CONVOLUTION),
        Rule(when.PACKS, None, _AS_ONE, packs=packing.packs),
        Rule(when.NARROW_DEPTHWISE, "taps", _MULTIPLICATIONS, "GTCRN, 16 channels, dilation 5: 30 us, in a pack 36"),
        _GROUPS_OF_MANY_TAPS,
        Rule(when.TINY, "lhs_dilation", _FEW_STEPS, "DCGAN's first layer, 1x1 to 4x4: 5 us, others 7 to 40"),
        Rule(when.PLAIN, "lhs_dilation", _PLAIN, "k2 s3, 64 channels, batch 16: 166 us, in one kernel 369"),
        Rule(
            when.NARROW_APART,
            "taps",
            "one product makes all phases, and the compiler puts the columns, not the channels, into lanes",
            "SAM, k2 s2, 32 channels: 37 us, in one kernel 75, as a convolution 73",
        ),
        Rule(
            when.FORWARD_KERNEL, "fused", _ONE_STEP, "CycleGAN, k3 s2: 17 us, others 110 to 896; at batch 16 247, 935"
        ),
        Rule(
            when.MANY_TAPS_1D,
            "subpixel",
            "one convolution for all phases, of a few taps each",
            "k512 s128 to one channel: 10 us, as a convolution 6,552",
        ),
        Rule(
            when.FEW_OUT_2D,
            "subpixel",
            "one convolution, with the phases for channels",
            "VQ-VAE-2, 3 channels out: 43 us, as a convolution of one phase after the other 94",
        ),
        Rule(
            when.FEW_OUT,
            "taps",
            "one product per tap for all phases, which fill the tiles that a few channels would not",
            "FSRCNN, k9 s3 to one channel: 70 us, as a convolution 2,521",
        ),
        Rule(
            when.FEW_PIXELS_1D,
            "taps",
            "one product for each tap, in one batch, takes the kernel as it is stored",
            "k20 s10, 512 to 256 channels: 25 us, as a convolution 33",
        ),
        Rule(
            when.FEW_EXAMPLES_1D,
            "im2col",
            "one product per phase, whose rows are pixels and not examples",
            "HiFi-GAN, k16 s8: 26 us, as a convolution 185",
        ),
        Rule(when.MANY_TAPS_FULL, "lhs_dilation", _PLAIN, "FCN-8s, k16 s8, batch 16: 11 ms, im2col 16"),
        Rule(
            when.MANY_TAPS_WIDE_OR_VERY_MANY,
            "subpixel",
            "one convolution for all phases, and no patches are laid out",
            "64x64 s32, 1000 to 21 channels, batch 16: 7 ms, im2col 8",
        ),
        Rule(
            when.MORE_TAPS,
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
        Rule(when.FULL_GROUPS, "lhs_dilation", _PLAIN, "CenterNet, k4 s2, batch 16: 403 us, in a pack 650"),
        Rule(when.PACKS, None, _AS_ONE, packs=packing.packs),
        Rule(when.NARROW_DEPTHWISE, "taps", _MULTIPLICATIONS, "GTCRN, 16 channels, dilation 5: 18 us, in a pack 35"),
        _GROUPS_OF_MANY_TAPS,
        Rule(
            when.ONE_PIXEL,
            "taps",
            "one product per tap, of which the padding leaves few",
            "k4 s2 to one pixel, 512 channels, batch 16: 25 us, as a convolution 86",
        ),
        Rule(when.AS_TINY, "lhs_dilation", _FEW_STEPS, "DCGAN's first layer, 4x4 to 1x1: 4 us, others 7 to 47"),
        Rule(when.PLAIN, "lhs_dilation", _PLAIN, "k2 s3, 64 channels, batch 16: 156 us, in one kernel 369"),
        Rule(
            when.DENSE, "lhs_dilation", _PLAIN, "k4 s2 in three axes, 256 channels, batch 16: 205 us, in one kernel 325"
        ),
        Rule(
            when.NARROW_APART,
            "col2im",
            "one product with the cotangent's patches, which are the cotangent in another order",
            "SAM, k2 s2, 32 channels: 40 us, in one kernel 80, as a convolution 68",
        ),
        Rule(
            when.INPUT_GRADIENT_KERNEL,
            "fused",
            _ONE_STEP,
            "CycleGAN, k3 s2: 17 us, others 49 to 202; at batch 16 247, 398",
        ),
        Rule(
            when.MANY_TAPS_1D_FEWER,
            "subpixel",
            "one product with blocks of the cotangent, of which no patches are laid out",
            "k512 s128 to one channel: 16 us, as a convolution 42",
        ),
        Rule(
            when.NARROW_OUT,
            "col2im",
            "one product with the cotangent's patches, whose channels are too few to fill a tile",
            "FSRCNN, k9 s3 to one channel: 36 us, as a convolution 130",
        ),
        Rule(
            when.FEW_TAPS_1D,
            "taps",
            "one product per tap, whose rows are pixels and not examples",
            "HiFi-GAN, k16 s8, 1024 pixels: 25 us, as a convolution 48",
        ),
        Rule(
            when.MANY_TAPS_WIDE,
            "lhs_dilation",
            "a strided convolution, without a zero in it",
            "64x64 s32, 1000 to 21 channels: 1.3 ms, col2im 2.2",
        ),
        Rule(
            when.MANY_TAPS_OF_MANY,
            "subpixel",
            "one product with blocks of the cotangent, of which no patches are laid out",
            "FCN-8s, k16 s8: 175 us, col2im 614",
        ),
        Rule(
            when.MORE_TAPS,
            "col2im",
            "one product with the cotangent's patches, of as many columns as the kernel has taps",
            "bilinear 32x32, 21 channels: 69 us, as a convolution 322",
        ),
        Rule(OTHERWISE, "lhs_dilation", "a strided convolution, without a zero in it"),
    ),
    "kernel_gradient": (
        Rule(GROUPS_ON_SEVERAL_DEVICES, "col2im", SPLIT_GROUPS),
        Rule(SEVERAL_DEVICES, "lhs_dilation", _ONE_CONVOLUTION),
        Rule(when.DENSE_PACKS, None, _AS_ONE, packs=packing.packs),
        _GROUPS_OF_MANY_TAPS,
        Rule(when.HALF_TINY, "taps", _PER_TAP, "one pixel, 512 channels, k4 s2: 45 us, as a convolution 73"),
        Rule(when.HALF_GAPS, "taps", _PER_TAP, "k2 s3, 64 channels: 16 us, as a convolution 26"),
        Rule(
            when.MANY_MORE_TAPS,
            "subpixel",
            "one product with blocks of the cotangent, in a program that grows with the taps of one phase only",
            "64x64 s32, 1000 to 21 channels: 1.6 ms, as a convolution 4.0",
        ),
        Rule(
            when.TALL,
            "subpixel",
            "one product with blocks of the cotangent, of which no patches are laid out",
            "FCN-8s, k16 s8: 261 us, col2im 4,317",
        ),
        Rule(
            when.MORE_TAPS_FEWER,
            "col2im",
            "one product with patches, where a convolution would meet a kernel as large as the image",
            "FSRCNN, k9 s3 to one channel: 74 us, as a convolution 115",
        ),
        Rule(
            when.TALL_AND_NARROW,
            "taps",
            _PER_TAP,
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
