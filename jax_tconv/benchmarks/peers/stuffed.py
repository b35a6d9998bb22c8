"""A transposed convolution as the other libraries in JAX write it: a convolution over the zero-stuffed input.

Its kernel is ours reversed on the spatial axes; groups stand beside each other on the output channels.
"""

import numpy as np

from ..layers import Layer


def padding(layer: Layer) -> list[tuple[int, int]]:
    """Rows added to both ends of the stuffed input."""
    fields = (layer.kernel, layer.padding, layer.output_padding, layer.dilation)
    reach = [(d * (k - 1) - p, op) for k, p, op, d in zip(*fields, strict=True)]
    return [(low, low + op) for low, op in reach]


def kernel_to(layer: Layer, kernel: np.ndarray) -> np.ndarray:
    """From `(*kernel, in, out // groups)` to `(*kernel, in // groups, out)`, reversed."""
    spatial = tuple(range(layer.ndim))
    grouped = np.flip(kernel, spatial).reshape(*layer.kernel, layer.groups, layer.c_in // layer.groups, -1)
    return np.ascontiguousarray(
        np.moveaxis(grouped, -3, -2).reshape(*layer.kernel, layer.c_in // layer.groups, layer.c_out)
    )


def kernel_from(layer: Layer, kernel: np.ndarray) -> np.ndarray:
    """The way back."""
    grouped = kernel.reshape(*layer.kernel, layer.c_in // layer.groups, layer.groups, -1)
    together = np.moveaxis(grouped, -2, -3).reshape(*layer.kernel, layer.c_in, layer.c_out // layer.groups)
    return np.flip(together, tuple(range(layer.ndim)))
