"""The algorithms, one file each, and the table of their names.

A method is a module with a function `T(x, kernel, geometry, precision, accumulate)`, and where its idea has forms for
the adjoints, `C(g, kernel, ...)` and `W(x, g, ...)` with the same remaining arguments. Arrays come in the canonical
layout: `x` is `(batch, *input_size, in)`, `kernel` is `(*kernel_size, in, out // groups)`, `g`, the output or its
cotangent, is `(batch, *output_size, out)`, channels ordered by group. Both operands have one dtype, and the result
comes back in dtype `accumulate`, in which the sums are formed. A form made for a CPU works a few rows at a time
(`rows.py`); `col2im`'s W can be asked for the `whole` image.
"""

from types import ModuleType

from jax_tconv._methods import col2im, im2col, lhs_dilation, subpixel, taps, vjp
from jax_tconv._methods.oracles import matrix, scatter

# These form each value as one sum, inside one convolution; the others add up several arrays.
SINGLE_SUM = ("lhs_dilation", "vjp", "subpixel")

METHODS: dict[str, ModuleType] = {
    "lhs_dilation": lhs_dilation,
    "vjp": vjp,
    "subpixel": subpixel,
    "col2im": col2im,
    "im2col": im2col,
    "taps": taps,
    "matrix": matrix,
    "scatter": scatter,
}
