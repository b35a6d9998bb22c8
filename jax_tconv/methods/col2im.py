"""One matrix product, every input pixel with the whole kernel, then overlap-add into the output.

The way PyTorch, Caffe and cuDNN's GEMM algorithms compute it (K. Chellapilla, S. Puri and P. Simard, "High performance
convolutional neural networks for document processing", 2006, for the convolution it is the adjoint of). Where kernel
and stride are equal nothing overlaps, and the product is all there is.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jax_tconv.geometry import Geometry
from jax_tconv.methods.adjoint import adjoints
from jax_tconv.methods.layout import channels_by_group, channels_together, kernel_by_group
from jax_tconv.methods.phases import Phases, phases, place, split_taps


def T(x: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The transposed convolution."""
    n, groups = geometry.ndim, geometry.groups
    spatial, taps = "abcdefgh"[:n], "ijklmnopqrstuvwx"[: 2 * n]
    columns = jnp.einsum(
        f"N{spatial}GI,{taps}GIO->N{spatial}{taps}GO",
        channels_by_group(x, groups),
        kernel_by_group(split_taps(kernel, geometry), groups),
        precision=precision,
        preferred_element_type=accumulate,
    )
    columns = channels_together(columns)
    for axis, phase in enumerate(phases(geometry)):
        # (..., rows, ..., taps, phase, ...) to (..., blocks, ..., phase, ...): the axis's taps are added and gone.
        columns = _overlap_add(jnp.moveaxis(columns, 1 + n + axis, 1 + axis), 1 + axis, phase)
    return place(columns, geometry)


def _overlap_add(columns: jax.Array, axis: int, phase: Phases) -> jax.Array:
    """`(..., taps, rows, ...)`, taps on `axis`, as `(..., blocks, ...)`: tap `j` is added `j * dilation` rows on."""
    taps, rows, shift = phase.taps, columns.shape[axis + 1], phase.dilation
    before, after = columns.shape[:axis], columns.shape[axis + 2 :]
    # Rows padded by `taps * shift` and then read as if padded by one `shift` less: each tap starts that much later.
    padded = jnp.pad(columns, [(0, 0)] * (axis + 1) + [(0, taps * shift)] + [(0, 0)] * len(after))
    flat = padded.reshape(*before, taps * (rows + taps * shift), *after)
    skewed = lax.slice_in_dim(flat, 0, taps * phase.blocks, axis=axis).reshape(*before, taps, phase.blocks, *after)
    return skewed.sum(axis)


C, W = adjoints(T)
