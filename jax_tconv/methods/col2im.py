"""One matrix product, every input pixel with the whole kernel, then overlap-add into the output.

The way PyTorch, Caffe and cuDNN's GEMM algorithms compute it (K. Chellapilla, S. Puri and P. Simard, "High performance
convolutional neural networks for document processing", 2006, for the convolution it is the adjoint of). Where kernel
and stride are equal nothing overlaps, and the product is all there is.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jax_tconv.geometry import Geometry
from jax_tconv.methods.adjoint import adjoints
from jax_tconv.methods.phases import phases, place, split_taps


def T(x: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The transposed convolution."""
    n, groups = geometry.ndim, geometry.groups
    c_in, c_out = kernel.shape[-2:]
    split = split_taps(kernel, geometry)
    split = split.reshape(*split.shape[:-2], groups, c_in // groups, c_out)
    x_groups = x.reshape(*x.shape[:-1], groups, c_in // groups)
    spatial, taps = "abcdefgh"[:n], "ijklmnopqrstuvwx"[: 2 * n]
    columns = jnp.einsum(
        f"N{spatial}GI,{taps}GIO->N{spatial}{taps}GO",
        x_groups,
        split,
        precision=precision,
        preferred_element_type=accumulate,
    )
    columns = columns.reshape(*columns.shape[:-2], groups * c_out)
    for axis, phase in enumerate(phases(geometry)):
        # (..., rows, ..., taps, phase, ...) to (..., blocks, ..., phase, ...): the axis's taps are added and gone.
        taps_axis = 1 + n + axis
        pieces = [lax.index_in_dim(columns, j, taps_axis, keepdims=False) for j in range(phase.taps)]
        unpadded, zero = [(0, 0, 0)] * pieces[0].ndim, jnp.zeros((), columns.dtype)
        shifted = []
        for j, piece in enumerate(pieces):
            edge = (j * phase.dilation, (phase.taps - 1 - j) * phase.dilation, 0)
            shifted.append(lax.pad(piece, zero, [*unpadded[: 1 + axis], edge, *unpadded[2 + axis :]]))
        columns = functools.reduce(lax.add, shifted)
    return place(columns, geometry)


C, W = adjoints(T)
