"""equinox.nn.ConvTranspose, mapped over the batch; channels first, as that library has them."""

import equinox
import jax
import numpy as np

from ..layers import Arrays, Layer
from . import jax_program, stuffed
from .contestant import Contestant, Prepared


def contestants() -> list[Contestant]:
    """The one."""
    return [Contestant("equinox", "jax", _prepare)]


def _prepare(layer: Layer, mode: str, arrays: Arrays) -> Prepared:
    module = equinox.nn.ConvTranspose(
        layer.ndim, layer.c_in, layer.c_out, layer.kernel, **layer.arguments, use_bias=False, key=jax.random.key(0)
    )

    def function(x: jax.Array, weight: jax.Array) -> jax.Array:
        return jax.vmap(equinox.tree_at(lambda m: m.weight, module, weight))(x)

    def image_to(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(array, -1, 1))

    # Their weight is (out, in // groups, *kernel).
    weight = np.ascontiguousarray(np.moveaxis(stuffed.kernel_to(layer, arrays.kernel), (-1, -2), (0, 1)))
    return jax_program.prepare(
        function,
        mode,
        image_to(arrays.x),
        weight,
        image_to(arrays.g),
        restore_image=lambda array: np.moveaxis(array, 1, -1),
        restore_kernel=lambda array: stuffed.kernel_from(layer, np.moveaxis(array, (0, 1), (-1, -2))),
    )
