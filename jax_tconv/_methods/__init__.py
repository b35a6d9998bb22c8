"""The algorithms, one file each, and the table of their names.

A method is a module with a function `forward(x, kernel, geometry, sums)`, and where its idea has forms for the
adjoints, `input_gradient(g, kernel, geometry, sums)` and `kernel_gradient(x, g, geometry, sums)`. Arrays come in the
canonical layout: `x` is `(batch, *input_size, in)`, `kernel` is `(*kernel_size, in, out // groups)`, `g`, the output or
its cotangent, is `(batch, *output_size, out)`, channels ordered by group. Both operands have one dtype, and the result
comes back in that of `sums` (`products.py`). A form made for a CPU works a few rows at a time (`rows.py`), unless
`sums` has it take the image whole.

Where a method has several ways of computing an op, `variant(op, call)` names the one that it takes, and the method goes
by that name. Where it has a limit of size, `refusal(call)` says why a call is beyond it; where it is made for some
platforms only, these are its `PLATFORMS`, and `limit(op, call)` says what it cannot take there.
"""

from types import ModuleType

from jax_tconv._call.arguments import Method
from jax_tconv._methods import col2im, fused, im2col, lhs_dilation, subpixel, taps, vjp
from jax_tconv._methods.oracles import matrix, scatter

# These form each value as one sum, inside one convolution; the others add up several arrays.
SINGLE_SUM = ("lhs_dilation", "vjp", "subpixel")

METHODS: dict[Method, ModuleType] = {
    "lhs_dilation": lhs_dilation,
    "vjp": vjp,
    "subpixel": subpixel,
    "col2im": col2im,
    "im2col": im2col,
    "taps": taps,
    "fused": fused,
    "matrix": matrix,
    "scatter": scatter,
}
