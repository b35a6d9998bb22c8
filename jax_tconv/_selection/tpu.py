"""The rules for a TPU, and for platforms that are not listed: XLA's own convolutions. They were not timed."""

from jax_tconv._selection.rules import OTHERWISE, Rule, Rules

RULES: Rules = {
    "forward": (Rule(OTHERWISE, "lhs_dilation", "one convolution with a dilated image, which XLA has"),),
    "input_gradient": (Rule(OTHERWISE, "lhs_dilation", "a strided convolution"),),
    "kernel_gradient": (Rule(OTHERWISE, "lhs_dilation", "one convolution with a dilated filter"),),
}
