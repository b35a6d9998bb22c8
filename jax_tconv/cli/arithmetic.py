"""The size of the output in words and numbers, axis by axis. The size itself is the core's; here it is taken apart."""

import dataclasses

from jax_tconv._call.geometry import Axis

FORMULA = "out = (in - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1"


@dataclasses.dataclass(frozen=True)
class Term:
    """One summand of the output size: as in the formula, in this layer's numbers, its value, and what it stands for."""

    name: str
    numbers: str
    value: int
    meaning: str


def terms(axis: Axis, output_padding: int) -> list[Term]:
    """What adds up to `axis.output_size`."""
    n, k, s, d, p = axis.input_size, axis.kernel_size, axis.stride, axis.dilation, axis.padding_low
    return [
        Term("(in - 1) * stride", f"({n} - 1) * {s}", (n - 1) * s, "from the first input row to the last"),
        Term("- 2 * padding", f"- 2 * {p}", -2 * p, "rows cut off, as many at both ends"),
        Term("dilation * (kernel - 1)", f"{d} * ({k} - 1)", d * (k - 1), "from the kernel's first tap to its last"),
        Term("output_padding", f"{output_padding}", output_padding, "rows added, at the end only"),
        Term("1", "1", 1, "the first row itself"),
    ]
