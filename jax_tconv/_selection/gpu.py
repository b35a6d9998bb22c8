"""The rules for a GPU: the convolutions that XLA hands to cuDNN as they are, and products where it would not.

The conditions are those of XLA's own passes, named beside them, and of the programs that it compiles for an H200. The
times are estimates from the text of those programs (`tests/accelerators`); nothing was timed on a device.

- Ungrouped convolutions of one to three axes become cuDNN's calls; in three axes their arrays are transposed first.
- What is no form of cuDNN's backward-data has its zeros between rows written out, and multiplied.
- A product takes one or two launches more than a convolution, of some 2 us each: it wins where a convolution copies.
"""

from jax_tconv._call.arguments import Method
from jax_tconv._call.call import Call, Op
from jax_tconv._methods import SINGLE_SUM, taps
from jax_tconv._methods.swapped import swaps_operands
from jax_tconv._methods.taps import MAX_UNROLLED
from jax_tconv._selection.conditions import (
    DEPTHWISE_ON_SEVERAL_DEVICES,
    GROUPS_ON_SEVERAL_DEVICES,
    LARGE_OUTPUT,
    SPLIT_GROUPS,
    SPLIT_MULTIPLICATIONS,
    apart,
    depthwise,
)
from jax_tconv._selection.rules import OTHERWISE, Condition, Rule, Rules

# Values in a kernel from which on a copy of it takes longer than the launches of a product's other two programs.
HEAVY_KERNEL = 2**18
FEW = f"at most {MAX_UNROLLED} taps"


def _few_taps(call: Call) -> bool:
    return call.taps <= MAX_UNROLLED


def _few_pixels(call: Call) -> bool:
    return call.geometry.groups == 1 and taps.variant("forward", call) == "one batched product"


def _backward_data(call: Call) -> bool:
    """As `MatchBackwardInput` of `conv_rewriter.cc` has it.

    Where output padding makes the padding at the end negative, by less than a stride, it does without.
    Before that, `conv_operand_swapper.cc` swaps the operands where the kernel has more taps than the image has pixels,
    which XLA can hand on to cuDNN in two axes only.
    """
    geometry = call.geometry
    swapped = geometry.ndim == 2 and swaps_operands(geometry)
    pads = zip(geometry.padding_low, geometry.padding_high, geometry.stride, strict=True)
    return (
        geometry.groups == 1
        and set(geometry.dilation) == {1}
        and not swapped
        and all(low >= 0 and high + stride > 0 for low, high, stride in pads)
    )


def _unmatched_filter(call: Call) -> bool:
    """What `MatchBackwardFilter` of `conv_rewriter.cc` refuses, and a stride that writes out its zeros."""
    geometry = call.geometry
    small = all(n <= k for n, k in zip(geometry.input_size, geometry.kernel_size, strict=True))
    return max(geometry.stride) > 1 and (small or max(geometry.dilation) > 1 or min(geometry.padding_low) < 0)


DEPTHWISE = Condition(
    f"several groups, of one channel in and out, and {FEW}", lambda call: depthwise(call) and _few_taps(call)
)
DEPTHWISE_3D = Condition(
    f"several groups, of one channel in and out, three axes or more, and {FEW}",
    lambda call: depthwise(call) and call.geometry.ndim > 2 and _few_taps(call),
)
ONE_CHANNEL_IN = Condition(
    f"several groups, of one channel in, and {FEW}",
    lambda call: call.group_in == 1 < call.geometry.groups and _few_taps(call),
)
FEW_PIXELS = Condition(f"ungrouped, fewer pixels than channels in and out, and {FEW}", _few_pixels)
HEAVY = Condition(
    f"several axes, ungrouped, fewer pixels than channels in and out, {FEW}, and {HEAVY_KERNEL:,} values in them",
    lambda call: _few_pixels(call) and call.geometry.ndim > 1 and call.taps * call.c_in * call.c_out >= HEAVY_KERNEL,
)
COMPLEX = Condition("complex numbers", lambda call: "complex" in call.dtype or "complex" in call.result_dtype)
MANY_AXES = Condition("four axes or more", lambda call: call.geometry.ndim > 3)
APART_3D = Condition(
    "kernel at most stride, undilated, ungrouped, three axes or more",
    lambda call: apart(call) and call.geometry.ndim > 2 and call.geometry.groups == 1,
)
BACKWARD_DATA = Condition(
    "ungrouped, undilated, padding that is not negative, and in two axes no more taps than pixels", _backward_data
)
STRIDE_1 = Condition("stride 1", lambda call: max(call.geometry.stride) == 1)
UNMATCHED_FILTER = Condition(
    f"dilated, no larger than the kernel, or with rows added before the first; stride above 1, and {FEW}",
    lambda call: _unmatched_filter(call) and _few_taps(call),
)

_MULTIPLICATIONS = "one multiplication per tap, and XLA fuses them"
_COMPLEX = "cuBLAS multiplies complex matrices; a complex convolution becomes three real ones"
_AS_STORED = "one product for each tap, in one batch, takes the kernel as it is stored"
_ONE_CHANNEL = "one channel of the input meets each kernel: XLA fuses the product with what comes before and after it"
_MANY_AXES = "one product, where XLA has no convolution of so many axes"

RULES: Rules = {
    "forward": (
        Rule(DEPTHWISE_ON_SEVERAL_DEVICES, "taps", SPLIT_MULTIPLICATIONS),
        Rule(GROUPS_ON_SEVERAL_DEVICES, "im2col", SPLIT_GROUPS),
        Rule(DEPTHWISE, "taps", _MULTIPLICATIONS, "k4 s2, 256 channels at 32x32, batch 32: 37 us, by subpixel 100"),
        Rule(ONE_CHANNEL_IN, "col2im", _ONE_CHANNEL, "k4 s2, 64 groups of 1 to 2 channels: 6 us, as a convolution 14"),
        Rule(FEW_PIXELS, "taps", _AS_STORED, "pix2pix, 1024 channels at 2x2: 11 us, as a convolution 27"),
        Rule(COMPLEX, "col2im", _COMPLEX, "CycleGAN, k3 s2, complex64: 44 us, as a convolution 271"),
        Rule(
            APART_3D,
            "taps",
            "one product and its order, where a convolution of three axes reorders all its arrays",
            "nnU-Net, k2 s2: 18 us, as a convolution 22",
        ),
        Rule(MANY_AXES, "col2im", _MANY_AXES),
        Rule(BACKWARD_DATA, "lhs_dilation", "cuDNN's backward-data", "CycleGAN, k3 s2: 9 us, by subpixel 19"),
        Rule(
            LARGE_OUTPUT,
            "col2im",
            "other methods would multiply the zeros around the few pixels",
            "k9 s2, dilation 3, 512 channels at 7x64: 114 us, by subpixel 249",
        ),
        Rule(
            STRIDE_1,
            "lhs_dilation",
            "a plain convolution, with no zeros to avoid",
            "k3, dilation 2, 64 channels at 32x32, batch 8: 5 us, by subpixel 9",
        ),
        Rule(
            OTHERWISE,
            "subpixel",
            "no form of cuDNN's backward-data: XLA would write out the zeros of the stride",
            "bilinear k32 s16, 21 channels at 30x30: 20 us, as a convolution 410",
        ),
    ),
    "input_gradient": (
        Rule(DEPTHWISE_ON_SEVERAL_DEVICES, "taps", SPLIT_MULTIPLICATIONS),
        Rule(GROUPS_ON_SEVERAL_DEVICES, "col2im", SPLIT_GROUPS),
        Rule(DEPTHWISE, "taps", _MULTIPLICATIONS, "k3 s2, 32 channels in three axes: 4 us, as a convolution 14"),
        Rule(ONE_CHANNEL_IN, "col2im", _ONE_CHANNEL, "k4 s2, 64 groups of 1 to 2 channels: 6 us, as a convolution 8"),
        Rule(HEAVY, "taps", _AS_STORED, "pix2pix, 1024 channels at 2x2: 13 us, as a convolution 25"),
        Rule(COMPLEX, "col2im", _COMPLEX, "CycleGAN, k3 s2, complex64: 38 us, as a convolution 87"),
        Rule(
            APART_3D,
            "col2im",
            "one product, where a convolution of three axes reorders all its arrays",
            "nnU-Net, k2 s2: 18 us, as a convolution 22",
        ),
        Rule(MANY_AXES, "col2im", _MANY_AXES),
        Rule(
            OTHERWISE, "lhs_dilation", "a strided convolution: cuDNN's forward", "CycleGAN, k3 s2: 9 us, by col2im 17"
        ),
    ),
    "kernel_gradient": (
        Rule(
            DEPTHWISE_3D,
            "col2im",
            "one product for each channel, where a convolution of three axes reorders its arrays",
            "k3 s2, 32 channels: 6 us, as a convolution 14",
        ),
        Rule(FEW_PIXELS, "taps", _AS_STORED, "pix2pix, 1024 channels at 2x2: 11 us, as a convolution 29"),
        Rule(COMPLEX, "col2im", _COMPLEX, "CycleGAN, k3 s2, complex64: 39 us, as a convolution 85"),
        Rule(MANY_AXES, "col2im", _MANY_AXES),
        Rule(
            UNMATCHED_FILTER,
            "col2im",
            "no form of cuDNN's backward-filter",
            "k7 s4, 128 channels at 4x4, batch 16: 9 us, as a convolution 14",
        ),
        Rule(
            OTHERWISE,
            "lhs_dilation",
            "a dilated filter and no dilated image: cuDNN's backward-filter",
            "CycleGAN, k3 s2: 9 us, by col2im 21",
        ),
    ),
}


def refusal(op: Op, method: Method, call: Call) -> str | None:
    """Why the method, asked for by name, cannot compute `op`; None where it can.

    XLA matches cuDNN's backward-data and backward-filter in any number of axes, and its `gpu_conv_runner.cc` then ends
    the process. Other convolutions of so many axes it computes value by value.
    """
    ops: dict[Method, tuple[Op, ...]] = {"subpixel": ("forward",)}
    convolutions = ops.get(method, ("forward", "kernel_gradient") if method in SINGLE_SUM else ())
    if call.geometry.ndim <= 3 or op not in convolutions:
        return None
    return f"it is a convolution in {call.geometry.ndim} axes, and XLA's compiler for GPUs ends at 3"
