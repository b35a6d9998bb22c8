"""The convolution over the zero-stuffed input that JAX users write by hand where a layer has groups."""

import functools

import jax

from ..layers import Arrays, Layer
from . import jax_program
from .contestant import Contestant, Prepared
from .layout import Layout

# Groups stand beside each other on the output channels.
LAYOUT = Layout(kernel="... i (g o)", reverses=True)


def contestants() -> list[Contestant]:
    """The one."""
    return [Contestant("lax", "jax", _prepare)]


def _prepare(layer: Layer, mode: str, arrays: Arrays) -> Prepared:
    axes = "DHW"[-layer.ndim :]
    function = functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=(1,) * layer.ndim,
        padding=jax_program.stuffed_padding(layer),
        lhs_dilation=layer.stride,
        rhs_dilation=layer.dilation,
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        feature_group_count=layer.groups,
    )
    return jax_program.prepare(function, layer, mode, arrays, LAYOUT)
