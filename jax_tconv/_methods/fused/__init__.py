"""One kernel for a TPU's core: each tap's product from fast memory, each row stored where it belongs.

XLA computes the phases of the forward op as arrays of their own and interleaves them in several passes over the output,
which take longer than the products; for the input gradient it copies the cotangent's rows apart before it multiplies
them. Here a block of rows is copied to the core once, with zeros around it, and read and stored `stride` rows apart
there, which costs nothing: each of the three arrays crosses the memory's bus once.

The kernels are written in Pallas. There is none for the kernel gradient, which is small beside what it reads: XLA has
little to lose there.
"""

import jax

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.fused.blocks import limit
from jax_tconv._methods.products import Sums, side_by_side

__all__ = ["PLATFORMS", "forward", "input_gradient", "limit"]

PLATFORMS = ("tpu",)


# Pallas takes longer to import than the rest of this package: only where a kernel is called for.


def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums, interpret: bool = False) -> jax.Array:
    """The transposed convolution; `interpret`, by Pallas's interpreter."""
    from jax_tconv._methods.fused import forward_kernel

    return side_by_side("forward", forward_kernel.forward)(x, kernel, geometry, sums, interpret)


def input_gradient(
    g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums, interpret: bool = False
) -> jax.Array:
    """The strided convolution; `interpret`, by Pallas's interpreter."""
    from jax_tconv._methods.fused import input_gradient_kernel

    return side_by_side("input_gradient", input_gradient_kernel.input_gradient)(g, kernel, geometry, sums, interpret)
