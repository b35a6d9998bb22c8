"""flax.linen.ConvTranspose, with the padding that gives PyTorch's values.

It can store its kernel reversed, or, with `transpose_kernel`, as the matching convolution's. The second form reverses
the kernel in the program; on a GPU that is the one that XLA recognises.
"""

import functools

import flax.linen
import jax
import numpy as np

from ..layers import Arrays, Layer
from . import jax_program, stuffed
from .contestant import Contestant, NotApplicable, Prepared


def contestants() -> list[Contestant]:
    """Both forms of the kernel."""
    return [
        Contestant("flax", "jax", functools.partial(_prepare, False)),
        Contestant("flax-transposed", "jax", functools.partial(_prepare, True)),
    ]


def _prepare(transposed: bool, layer: Layer, mode: str, arrays: Arrays) -> Prepared:
    if layer.groups > 1:
        raise NotApplicable("flax's ConvTranspose has no groups")
    module = flax.linen.ConvTranspose(
        layer.c_out,
        layer.kernel,
        layer.stride,
        stuffed.padding(layer),
        layer.dilation,
        use_bias=False,
        transpose_kernel=transposed,
    )

    def function(x: jax.Array, kernel: jax.Array) -> jax.Array:
        y = module.apply({"params": {"kernel": kernel}}, x)
        assert isinstance(y, jax.Array)
        return y

    def restore_kernel(kernel: np.ndarray) -> np.ndarray:
        return np.swapaxes(kernel, -1, -2) if transposed else stuffed.kernel_from(layer, kernel)

    swapped = np.ascontiguousarray(np.swapaxes(arrays.kernel, -1, -2))
    kernel = swapped if transposed else stuffed.kernel_to(layer, arrays.kernel)
    return jax_program.prepare(function, mode, arrays.x, kernel, arrays.g, restore_kernel=restore_kernel)
