"""One matrix product an output residue: the input's patches that meet there, with the taps that they meet.

The patches of K. Chellapilla, S. Puri and P. Simard, "High performance convolutional neural networks for document
processing" (2006), taken residue by residue (`residues.py`), so that no zero is multiplied: none between rows, no tap
that pads the kernel, no row that the padding takes off. It has no form of C and W: `col2im` has the patches for those.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jax_tconv.geometry import Geometry
from jax_tconv.grouping import over_groups
from jax_tconv.methods import subpixel
from jax_tconv.methods.layout import product
from jax_tconv.methods.residues import crop, interleave, reach, residues, shifted
from jax_tconv.methods.rows import padded_rows, rows_per_chunk, write_rows

# The program holds a slice for each tap and a product for each residue. Beyond so many, `subpixel` computes the same
# with phases of equal size, in a program that does not grow.
MAX_TERMS = 100
CHUNK_MEGABYTES = 8


@over_groups("T")
def T(x: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The transposed convolution."""
    if max(math.prod(geometry.kernel_size), math.prod(geometry.stride)) > MAX_TERMS:
        return subpixel.T(x, kernel, geometry.with_groups(1), precision, accumulate)
    met = [reach(axis) for axis in geometry.axes]
    counts = [axis.count for axis in met]
    terms = dict(residues(geometry))
    filters = {
        residue: jnp.concatenate([kernel[tap] for tap, _ in meetings])
        for residue, meetings in terms.items()
        if meetings
    }

    def compute(start: Any, rows: int) -> jax.Array:
        near = padded_rows(
            x, start + met[0].low, rows + met[0].high - met[0].low, met[0].pads, [axis.pads for axis in met[1:]]
        )
        here = (rows, *counts[1:])
        parts = {}
        for residue, meetings in terms.items():
            if meetings:
                patches = lax.concatenate([shifted(near, starts, here) for _, starts in meetings], x.ndim - 1)
                parts[residue] = product(patches, filters[residue], precision, accumulate)
            else:
                parts[residue] = jnp.zeros((x.shape[0], *here, kernel.shape[-1]), accumulate)
        return crop(interleave(parts, geometry.stride), geometry)

    sizes = (geometry.groups, x.shape[0], *counts, *geometry.kernel_size, kernel.shape[-2])
    rows = rows_per_chunk(counts[0], sizes, x.dtype.itemsize, CHUNK_MEGABYTES)
    return crop(write_rows(counts[0], rows, compute, geometry.stride[0]), geometry, first=True)
