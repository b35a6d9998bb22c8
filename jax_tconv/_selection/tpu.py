"""The rules for a TPU, and for platforms that are not listed."""

from jax_tconv._call.call import OPS
from jax_tconv._selection.rules import OTHERWISE, Rule, Rules

NATIVE = Rule(OTHERWISE, "lhs_dilation", "one dilated convolution, which a TPU computes without touching the zeros")

RULES: Rules = dict.fromkeys(OPS, (NATIVE,))
