"""The definition itself: T and W are the two vector-Jacobian products of a convolution, which JAX derives.

PyTorch documents ConvTranspose as "the gradient of Conv with respect to its input"; this file says just that.
"""

from typing import Any

import jax
from jax.typing import DTypeLike

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.products import convolution

# C has no form of its own here: it is the convolution.


def T(x: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The convolution's vjp in its image, at cotangent `x`."""
    x, kernel = x.astype(accumulate), kernel.astype(accumulate)
    c_out = kernel.shape[-1] * geometry.groups
    image = jax.ShapeDtypeStruct((x.shape[0], *geometry.output_size, c_out), accumulate)
    (y,) = jax.linear_transpose(lambda g: convolution(g, kernel, geometry, precision, None), image)(x)
    return y


def W(x: jax.Array, g: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The convolution's vjp in its kernel, at image `g` and cotangent `x`."""
    # In the accumulation dtype throughout: lax's own rules take no half-precision image with a float32 cotangent.
    x, g = x.astype(accumulate), g.astype(accumulate)
    filters = jax.ShapeDtypeStruct((*geometry.kernel_size, x.shape[-1], g.shape[-1] // geometry.groups), accumulate)
    (kernel,) = jax.linear_transpose(lambda w: convolution(g, w, geometry, precision, None), filters)(x)
    return kernel
