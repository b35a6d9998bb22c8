"""The convolution over the zero-stuffed input that JAX users write by hand where a layer has groups."""

import functools

import jax

from ..layers import Arrays, Layer
from . import jax_program, stuffed
from .contestant import Contestant, Prepared


def contestants() -> list[Contestant]:
    """The one."""
    return [Contestant("lax", "jax", _prepare)]


def _prepare(layer: Layer, mode: str, arrays: Arrays) -> Prepared:
    axes = "DHW"[-layer.ndim :]
    function = functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=(1,) * layer.ndim,
        padding=stuffed.padding(layer),
        lhs_dilation=layer.stride,
        rhs_dilation=layer.dilation,
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        feature_group_count=layer.groups,
    )
    kernel = stuffed.kernel_to(layer, arrays.kernel)
    return jax_program.prepare(
        function,
        mode,
        arrays.x,
        kernel,
        arrays.g,
        restore_kernel=lambda array: stuffed.kernel_from(layer, array),
    )
