"""C and W of a method that states T alone: the transposes of the very steps that compute T, as JAX derives them."""

from collections.abc import Callable
from typing import Any

import jax
from jax.typing import DTypeLike

from jax_tconv._call.geometry import Geometry

Op = Callable[[jax.Array, jax.Array, Geometry, Any, DTypeLike], jax.Array]


def adjoints(T: Op) -> tuple[Op, Op]:
    """C and W for this T."""

    def C(g: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
        # In the accumulation dtype throughout: lax transposes no product of halves that is summed in float32.
        g, kernel = g.astype(accumulate), kernel.astype(accumulate)
        x = jax.ShapeDtypeStruct((g.shape[0], *geometry.input_size, kernel.shape[-2]), accumulate)
        (x_bar,) = jax.linear_transpose(lambda x: T(x, kernel, geometry, precision, accumulate), x)(g)
        return x_bar

    def W(x: jax.Array, g: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
        x, g = x.astype(accumulate), g.astype(accumulate)
        c_out = g.shape[-1] // geometry.groups
        kernel = jax.ShapeDtypeStruct((*geometry.kernel_size, x.shape[-1], c_out), accumulate)
        (kernel_bar,) = jax.linear_transpose(lambda kernel: T(x, kernel, geometry, precision, accumulate), kernel)(g)
        return kernel_bar

    return C, W
