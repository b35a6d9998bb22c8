"""The definition itself: the op and its kernel gradient are a convolution's vector-Jacobian products, made by JAX.

PyTorch documents ConvTranspose as "the gradient of Conv with respect to its input"; this file says just that. There is
no form of the input gradient here: it is the convolution.
"""

import jax
from jax.sharding import NamedSharding, PartitionSpec

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.products import Sums, strided_convolution
from jax_tconv._methods.rows import varying_axes
from jax_tconv._methods.swapped import safely_swapped


@safely_swapped
def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The convolution's vjp in its image, at cotangent `x`."""
    x, kernel = x.astype(sums.dtype), kernel.astype(sums.dtype)
    image = _unknown(x, (x.shape[0], *geometry.output_size, kernel.shape[-1] * geometry.groups))
    (y,) = jax.linear_transpose(lambda g: strided_convolution(g, kernel, geometry, sums), image)(x)
    return y


def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The convolution's vjp in its kernel, at image `g` and cotangent `x`."""
    # In the dtype of the sums throughout: lax's own rules take no half-precision image with a float32 cotangent.
    x, g = x.astype(sums.dtype), g.astype(sums.dtype)
    filters = _unknown(x, (*geometry.kernel_size, x.shape[-1], g.shape[-1] // geometry.groups))
    (w,) = jax.linear_transpose(lambda w: strided_convolution(g, w, geometry, sums), filters)(x)
    return w


def _unknown(like: jax.Array, shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    """What the convolution is a function of; it varies over the axes of a `shard_map` that `like` varies over.

    One that did not would be cast where it meets what does, and that cast's transpose is a sum over the devices.
    """
    known = jax.typeof(like)
    if not varying_axes(known):
        return jax.ShapeDtypeStruct(shape, like.dtype)
    sharding = NamedSharding(known.sharding.mesh, PartitionSpec(*(None,) * len(shape)))
    return jax.ShapeDtypeStruct(shape, like.dtype, sharding=sharding, manual_axis_type=known.manual_axis_type)
