"""One kernel for a TPU's core: each tap's product from fast memory, each row stored where it belongs.

XLA computes the phases of the forward op as arrays of their own and interleaves them in several passes over the output,
which take longer than the products; for the input gradient it copies the cotangent's rows apart before it multiplies
them. Here a block of rows is copied to the core once, with zeros around it, and read and stored `stride` rows apart
there, which costs nothing: each of the three arrays crosses the memory's bus once.

The kernels are written in Pallas. There is none for the kernel gradient, which is small beside what it reads: XLA has
little to lose there.
"""

from typing import Any

import jax

from jax_tconv._methods.fused.blocks import limit

__all__ = ["PLATFORMS", "forward", "input_gradient", "limit"]

PLATFORMS = ("tpu",)


# Pallas takes longer to import than the rest of this package: only where a kernel is called for.


def forward(*arguments: Any, **options: Any) -> jax.Array:
    """The transposed convolution; arguments as for all methods."""
    from jax_tconv._methods.fused.forward_kernel import forward

    return forward(*arguments, **options)


def input_gradient(*arguments: Any, **options: Any) -> jax.Array:
    """The strided convolution; arguments as for all methods."""
    from jax_tconv._methods.fused.input_gradient_kernel import input_gradient

    return input_gradient(*arguments, **options)
