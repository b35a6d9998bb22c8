"""The definition itself: the op and its kernel gradient are a convolution's vector-Jacobian products, made by JAX.

PyTorch documents ConvTranspose as "the gradient of Conv with respect to its input"; this file says just that. There is
no form of the input gradient here: it is the convolution.
"""

import jax

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.products import Sums, strided_convolution
from jax_tconv._methods.rows import varying_type
from jax_tconv._methods.swapped import safely_swapped


@safely_swapped
def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The convolution's vjp in its image, at cotangent `x`."""
    x, kernel = x.astype(sums.dtype), kernel.astype(sums.dtype)
    image = varying_type(x, (x.shape[0], *geometry.output_size, kernel.shape[-1] * geometry.groups), x.dtype)
    (y,) = jax.linear_transpose(lambda g: strided_convolution(g, kernel, geometry, sums), image)(x)
    return y


def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The convolution's vjp in its kernel, at image `g` and cotangent `x`."""
    # In the dtype of the sums throughout: lax's own rules take no half-precision image with a float32 cotangent.
    x, g = x.astype(sums.dtype), g.astype(sums.dtype)
    filters = varying_type(x, (*geometry.kernel_size, x.shape[-1], g.shape[-1] // geometry.groups), x.dtype)
    (w,) = jax.linear_transpose(lambda w: strided_convolution(g, w, geometry, sums), filters)(x)
    return w
