"""The forward op in one kernel: by output row, the products of the taps that meet there, stored `stride` rows apart."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.fused.blocks import LANES, Blocks
from jax_tconv._methods.fused.kernel import call_kernel, chunks, load, prepare
from jax_tconv._methods.polyphase import residues
from jax_tconv._methods.products import Sums


def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums, interpret: bool) -> jax.Array:
    """The transposed convolution of one group."""
    c_in, c_out = kernel.shape[-2:]

    def scratch(blocks: Blocks, dtype: Any) -> list[tuple[Any, Any]]:
        stored = (len(chunks(c_out)), blocks.written, *geometry.output_size[1:], min(c_out, LANES))
        return [((1, *blocks.near, c_in), dtype), (stored, jnp.float32)]

    return call_kernel("forward", _step, x, kernel, geometry, sums, scratch, interpret)


def _step(
    geometry: Geometry,
    blocks: Blocks,
    precision: Any,
    x: Any,
    kernel: Any,
    y: Any,
    weights: Any,
    near: Any,
    stored: Any,
) -> None:
    """One block: what `x` holds of the input, into `y`."""
    prepare(kernel, weights, near)
    load(blocks, x, near, [pl.ds(0, x.shape[-1])])
    for residue, meetings in residues(geometry):
        # The last axis's rows are counted in whole tiles; the output has so many of this residue.
        counts = [blocks.counts[0]]
        counts += [-(-(n - r) // s) for n, r, s in zip(y.shape[2:-1], residue[1:], geometry.stride[1:], strict=True)]
        if min(counts) <= 0:
            continue
        rows = {tap: near[(0, *map(pl.ds, starts, blocks.counts))] for tap, starts in meetings}
        for chunk, lanes in enumerate(chunks(y.shape[-1])):
            total = jnp.zeros((math.prod(blocks.counts), lanes.size), jnp.float32)
            for tap, met in rows.items():
                total += jnp.dot(
                    met.reshape(total.shape[0], met.shape[-1]),
                    weights[(*tap, slice(None), lanes)],
                    precision=precision,
                    preferred_element_type=jnp.float32,
                )
            total = total.reshape(*blocks.counts, lanes.size)[tuple(map(slice, counts))]
            # No plain index beside strides: the interpreter takes none.
            at = (pl.ds(chunk, 1), *map(pl.ds, residue, counts, geometry.stride), pl.ds(0, lanes.size))
            stored[at] = total[None]
    for chunk, lanes in enumerate(chunks(y.shape[-1])):
        y[(0, *(slice(None) for _ in blocks.counts), lanes)] = stored[chunk, ..., : lanes.size].astype(y.dtype)
