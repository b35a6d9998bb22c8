"""The rules for a GPU: the forms that XLA's convolution rewriter recognises as calls of cuDNN.

They come from the rewriter's own conditions (`xla/service/gpu/transforms/conv_rewriter.cc`) and from compiled programs;
they were not timed.
"""

from jax_tconv._call.call import Call
from jax_tconv._selection.rules import (
    DEPTHWISE_ON_SEVERAL_DEVICES,
    GROUPS_ON_SEVERAL_DEVICES,
    OTHERWISE,
    SPLIT_GROUPS,
    Condition,
    Rule,
    Rules,
)


def _backward_data(call: Call) -> bool:
    geometry = call.geometry
    cropped = zip(geometry.kernel_size, geometry.padding_low, geometry.padding_high, strict=True)
    return (
        geometry.groups == 1 and set(geometry.dilation) == {1} and all(max(low, high) < k for k, low, high in cropped)
    )


BACKWARD_DATA = Condition("ungrouped, undilated, padding less than the kernel", _backward_data)
STRIDE_1 = Condition("stride 1", lambda call: max(call.geometry.stride) == 1)

RULES: Rules = {
    "forward": (
        Rule(DEPTHWISE_ON_SEVERAL_DEVICES, "taps", "multiplications, one per tap, which are split by rows"),
        Rule(GROUPS_ON_SEVERAL_DEVICES, "im2col", SPLIT_GROUPS),
        Rule(BACKWARD_DATA, "lhs_dilation", "cuDNN's backward-data"),
        Rule(STRIDE_1, "lhs_dilation", "a plain convolution, with no zeros to avoid"),
        Rule(
            OTHERWISE, "subpixel", "no form of cuDNN's backward-data, and XLA would write out the zeros of the stride"
        ),
    ),
    "input_gradient": (
        Rule(DEPTHWISE_ON_SEVERAL_DEVICES, "taps", "multiplications, one per tap, which are split by rows"),
        Rule(GROUPS_ON_SEVERAL_DEVICES, "col2im", SPLIT_GROUPS),
        Rule(OTHERWISE, "lhs_dilation", "a strided convolution: cuDNN's forward"),
    ),
    "kernel_gradient": (
        Rule(OTHERWISE, "lhs_dilation", "a dilated filter and no dilated image: cuDNN's backward-filter"),
    ),
}
