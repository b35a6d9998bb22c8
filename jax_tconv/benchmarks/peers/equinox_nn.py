"""equinox.nn.ConvTranspose, mapped over the batch; channels first, as that library has them."""

import equinox
import jax

from ..layers import Arrays, Layer
from . import jax_program
from .contestant import Contestant, Prepared
from .layout import Layout

LAYOUT = Layout("n c ...", "(g o) i ...", reverses=True)


def contestants() -> list[Contestant]:
    """The one."""
    return [Contestant("equinox", "jax", _prepare)]


def _prepare(layer: Layer, mode: str, arrays: Arrays) -> Prepared:
    module = equinox.nn.ConvTranspose(
        layer.ndim, layer.c_in, layer.c_out, layer.kernel, **layer.arguments, use_bias=False, key=jax.random.key(0)
    )

    def function(x: jax.Array, weight: jax.Array) -> jax.Array:
        return jax.vmap(equinox.tree_at(lambda m: m.weight, module, weight))(x)

    return jax_program.prepare(function, layer, mode, arrays, LAYOUT)
