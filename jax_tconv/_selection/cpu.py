"""The rules for a CPU: what suits which shape, and the measurements that say so.

Found with some fifty layers of published networks (`jax_tconv.benchmarks` times them) in float32 on two AVX2 cores
where `dot` makes 160 GFLOP/s; times marked AVX-512 are from two cores where it makes 280:

- XLA's `dot` and its plain convolution in one or two axes run at the machine's rate of multiplication. Its grouped,
  dilated, three-dimensional and zero-stuffed convolutions do not, by factors of 2 to 100.
- What is left to save is copying: some 15 MB per millisecond in the cache, but 2.5 MB where an array beyond 32 MB is
  mapped and page-faulted afresh (`_methods/rows.py`). So the form with the least between its steps wins: the columns of
  the product (taps x channels out), the input's patches (taps x channels in, over the phases), or blocks (neither).
- A product with fewer than some hundred columns, or a sum over fewer channels than that, is slower than its size says.
"""

import math

from jax_tconv._call.call import Call
from jax_tconv._methods.col2im import mostly_seams
from jax_tconv._selection.conditions import (
    DEPTHWISE,
    GROUPS_ON_SEVERAL_DEVICES,
    LARGE_OUTPUT,
    SEVERAL_DEVICES,
    SPLIT_GROUPS,
    apart,
)
from jax_tconv._selection.rules import OTHERWISE, Condition, Rule, Rules

# Groups computed one by one: compile time grows with each, and 64 of them take 2 s per op.
MAX_SEPARATE_GROUPS = 16
# Taps from which on patches are many times larger than what they are taken from.
MANY_TAPS = 100
# Channels, of one group, from which on a product is fast enough to pay for laying out its operands.
WIDE_IN, WIDE_OUT, WIDE_CONVOLUTION, WIDE_PATCH = 128, 64, 128, 32
# Columns of patches up to which they are laid out for all taps at once.
MAX_PATCH = 2048
# Values in a kernel from which on a copy of it costs more than the products that it would speed up.
HEAVY_KERNEL = 2**21


def _even(call: Call) -> bool:
    return all(axis.kernel_size % axis.stride == 0 for axis in call.geometry.axes)


def _plain(call: Call) -> bool:
    """XLA has a fast convolution for it, once no zeros are between rows."""
    geometry = call.geometry
    return geometry.groups == 1 and geometry.ndim <= 2 and set(geometry.dilation) == {1}


def _heavy(call: Call) -> bool:
    pixels, kernel = call.known_batch * math.prod(call.geometry.input_size), call.taps * call.group_in * call.group_out
    return call.geometry.ndim > 1 and pixels < call.group_out and kernel >= HEAVY_KERNEL


FEW_GROUPS = Condition(
    f"2 to {MAX_SEPARATE_GROUPS} groups", lambda call: 1 < call.geometry.groups <= MAX_SEPARATE_GROUPS
)
PLAIN_ON_SEVERAL_DEVICES = Condition(
    "one or two axes, undilated, ungrouped, split over several devices",
    lambda call: call.several_devices and _plain(call),
)
MANY_TAPS_ON_SEVERAL_DEVICES = Condition(
    f"more than {MANY_TAPS} taps on several axes, ungrouped, split over several devices",
    lambda call: (
        call.several_devices and call.geometry.groups == 1 and call.taps > MANY_TAPS and call.geometry.ndim > 1
    ),
)
MANY_TAPS_PER_IMAGE = Condition(
    f"more than {MANY_TAPS} taps on several axes", lambda call: call.taps > MANY_TAPS and call.geometry.ndim > 1
)
MORE_TAPS = Condition(f"more than {MANY_TAPS} taps", lambda call: call.taps > MANY_TAPS)
HEAVY = Condition(f"several axes, fewer pixels than channels out, a kernel of {HEAVY_KERNEL:,} values or more", _heavy)
APART = Condition("kernel at most stride, undilated", apart)
NARROW_CONVOLUTION = Condition(
    f"kernel a multiple of stride, one or two axes, undilated, ungrouped, fewer than {WIDE_CONVOLUTION} channels out",
    lambda call: _plain(call) and _even(call) and call.group_out < WIDE_CONVOLUTION,
)
EVEN_IMAGE = Condition("kernel a multiple of stride, several axes", lambda call: _even(call) and call.geometry.ndim > 1)
SEAMS = Condition(
    "so wide that a chunk has few rows", lambda call: mostly_seams(call.geometry, call.known_batch, call.group_out)
)
ONE_AXIS = Condition("one axis, undilated, ungrouped", lambda call: _plain(call) and call.geometry.ndim == 1)
NARROW_PATCH = Condition(
    f"two axes, undilated, ungrouped, fewer than {WIDE_PATCH} channels out",
    lambda call: _plain(call) and call.group_out < WIDE_PATCH,
)
NARROW_PRODUCT = Condition(
    f"fewer than {WIDE_IN} channels in or {WIDE_OUT} out, and at most {MAX_PATCH:,} taps times channels out",
    lambda call: (call.group_in < WIDE_IN or call.group_out < WIDE_OUT) and call.taps * call.group_out <= MAX_PATCH,
)

ONE_CHANNEL = Rule(
    DEPTHWISE,
    "taps",
    "one multiplication per tap, and XLA fuses them",
    "CenterNet, k4 s2, 64 channels: 0.3 ms, others 3 to 8 (AVX-512)",
)
ONE_BY_ONE = Rule(FEW_GROUPS, None, "the products of one group are plain ones, which are faster than batched ones")
_BLOCKS = "one product with blocks of the cotangent, and no patches of it are laid out"

RULES: Rules = {
    "forward": (
        ONE_CHANNEL,
        Rule(GROUPS_ON_SEVERAL_DEVICES, "im2col", SPLIT_GROUPS),
        ONE_BY_ONE,
        Rule(
            LARGE_OUTPUT,
            "col2im",
            "other methods would multiply the zeros around the few pixels",
            "DCGAN's first layer, 1x1 to 4x4: 2 ms, others 11",
        ),
        Rule(
            PLAIN_ON_SEVERAL_DEVICES,
            "subpixel",
            "a few fast convolutions, which are split by rows and by channels",
            "a device's share of CycleGAN, k3 s2: 21 ms, alone 21; of DCGAN's last layer 1.7 ms, alone 1.1",
        ),
        Rule(
            SEVERAL_DEVICES,
            "im2col",
            "a few products, which are split by rows and by channels",
            "a device's share of PSMNet, k3 s2 in three axes: 18 ms, alone 10, as a convolution 1,100",
        ),
        Rule(
            MANY_TAPS_PER_IMAGE,
            "im2col",
            "one product for all phases of a block",
            "FCN-8s, k16 s8, 21 channels: 13 ms, as one convolution 11 to 27 as the 27 MB between fall",
        ),
        Rule(
            MORE_TAPS,
            "subpixel",
            "one convolution for all phases, and no patches are laid out",
            "k128 s32 in one axis, 64 channels: 2.6 ms, col2im 27 (AVX-512)",
        ),
        Rule(
            HEAVY,
            "subpixel",
            "one convolution for all phases, and no product is held between two steps",
            "pix2pix, 1024 channels at 2x2: 17 ms, but im2col 11 (AVX-512)",
        ),
        Rule(
            APART,
            "col2im",
            "no two taps meet in an output row: the product is the output, but for its order",
            "U-Net, k2 s2: 9 ms",
        ),
        Rule(
            NARROW_CONVOLUTION,
            "subpixel",
            "one fast convolution for all phases, which have as many taps each",
            "DCGAN's last layer, 3 channels out: 4 ms, im2col 30 (AVX-512)",
        ),
        Rule(
            EVEN_IMAGE,
            "im2col",
            "one product per phase, and nothing is added up after it",
            "Pose ResNet, k4 s2, 256 channels: 48 ms, col2im 65",
        ),
        Rule(
            SEAMS,
            "im2col",
            "one product per phase; col2im would multiply many rows twice, where chunks meet",
            "k5 s2, 256 to 128 channels, 8x8, batch 64: 40 ms, col2im 80 (AVX-512)",
        ),
        Rule(
            OTHERWISE,
            "col2im",
            "one product with all taps, and their sum",
            "CycleGAN, k3 s2: 18 ms, with phases made of equal size (16 taps for 9) 27",
        ),
    ),
    "input_gradient": (
        ONE_CHANNEL,
        Rule(GROUPS_ON_SEVERAL_DEVICES, "col2im", SPLIT_GROUPS),
        ONE_BY_ONE,
        Rule(
            SEVERAL_DEVICES,
            "lhs_dilation",
            "XLA's strided convolution is split by rows and by channels",
            "a device's share of CycleGAN, k3 s2: 20 ms, alone 24; of FCN-8s 32 ms, alone 28",
        ),
        Rule(APART, "subpixel", _BLOCKS, "U-Net, k2 s2: 9 ms, as a convolution 18"),
        Rule(MORE_TAPS, "subpixel", _BLOCKS, "FCN-8s: 20 ms, as a convolution 130"),
        Rule(
            HEAVY,
            "taps",
            "one product per tap leaves the kernel as it is stored",
            "pix2pix, 1024 channels at 2x2: 2.5 ms, 10 to 45 in the forms that lay the kernel out anew",
        ),
        Rule(ONE_AXIS, "lhs_dilation", "patches would repeat values, and XLA's strided convolution is fast"),
        Rule(
            NARROW_PATCH,
            "lhs_dilation",
            "patches would be copied a few values at a time, and XLA's strided convolution is fast",
        ),
        Rule(
            OTHERWISE,
            "col2im",
            "one product with the cotangent's patches",
            "PSMNet, k3 s2 in three axes: 8 ms, as a convolution 14; in two axes the same or a little less",
        ),
    ),
    "kernel_gradient": (
        Rule(
            MANY_TAPS_ON_SEVERAL_DEVICES,
            "lhs_dilation",
            "one convolution, so one sum over the devices, and no patches are laid out",
            "a device's share of FCN-8s: 33 ms, alone 28, with patches 97",
        ),
        Rule(SEVERAL_DEVICES, "col2im", "one product, so one sum over the devices"),
        ONE_CHANNEL,
        ONE_BY_ONE,
        Rule(APART, "subpixel", _BLOCKS, "SAM, k2 s2: 3 ms, with one product per tap 5"),
        Rule(MORE_TAPS, "subpixel", _BLOCKS, "FCN-8s: 19 ms, with one product per tap 46"),
        Rule(
            NARROW_PRODUCT,
            "col2im",
            "all taps in one product, where one per tap would be narrow",
            "DCGAN's last layer, 3 channels out: 8 ms, with a product of 3 columns per tap 64",
        ),
        Rule(
            OTHERWISE,
            "taps",
            "one product per tap, and no patches are laid out",
            "DCGAN's third layer: 28 ms, with patches, of which each chunk adds a whole kernel to the sum, 45",
        ),
    ),
}
