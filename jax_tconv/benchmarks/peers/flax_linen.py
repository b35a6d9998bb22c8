"""flax.linen.ConvTranspose, with the padding that gives PyTorch's values.

It can store its kernel reversed, or, with `transpose_kernel`, as the matching convolution's. The second form reverses
the kernel in the program; on a GPU that is the one that XLA recognises.
"""

import functools
from typing import Any

import flax.linen
import jax

from ..layers import Arrays, Layer
from . import jax_program
from .contestant import Contestant, NotApplicable, Prepared
from .layout import Layout

LAYOUTS = {"flax": Layout(reverses=True), "flax-transposed": Layout(kernel="... o (g i)")}


def contestants() -> list[Contestant]:
    """Both forms of the kernel."""
    return [Contestant(name, "jax", functools.partial(_prepare, layout)) for name, layout in LAYOUTS.items()]


def _prepare(layout: Layout, layer: Layer, mode: str, arrays: Arrays) -> Prepared:
    if layer.groups > 1:
        raise NotApplicable("flax's ConvTranspose has no groups")
    module = flax.linen.ConvTranspose(
        layer.c_out,
        layer.kernel,
        layer.stride,
        jax_program.stuffed_padding(layer),
        layer.dilation,
        use_bias=False,
        transpose_kernel=not layout.reverses,
    )

    def function(x: jax.Array, kernel: jax.Array) -> Any:
        return module.apply({"params": {"kernel": kernel}}, x)

    return jax_program.prepare(function, layer, mode, arrays, layout)
