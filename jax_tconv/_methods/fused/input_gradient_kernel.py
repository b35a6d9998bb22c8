"""The input gradient in one kernel: for each tap, the cotangent's rows that it meets, `stride` apart, and a product."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import pallas as pl

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.fused.blocks import LANES, Blocks
from jax_tconv._methods.fused.kernel import call_kernel, chunks, load, prepare
from jax_tconv._methods.products import Sums


def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums, interpret: bool) -> jax.Array:
    """The strided convolution of one group."""
    c_out = kernel.shape[-1]

    def scratch(blocks: Blocks, dtype: Any) -> list[tuple[Any, Any]]:
        # In four bytes: of narrower values two rows share a word, and none can be read alone.
        return [((len(chunks(c_out)), *blocks.near, min(c_out, LANES)), jnp.float32)]

    return call_kernel("input_gradient", _step, g, kernel, geometry, sums, scratch, interpret)


def _step(
    geometry: Geometry, blocks: Blocks, precision: Any, g: Any, kernel: Any, x: Any, weights: Any, near: Any
) -> None:
    """One block: what `g` holds of the cotangent, into `x`."""
    prepare(kernel, weights, near)
    load(blocks, g, near, chunks(g.shape[-1]))
    total = jnp.zeros((math.prod(blocks.counts), x.shape[-1]), jnp.float32)
    for tap in np.ndindex(*geometry.kernel_size):
        starts = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
        at = tuple(map(pl.ds, starts, blocks.counts, geometry.stride))
        for chunk, lanes in enumerate(chunks(g.shape[-1])):
            rows = near[(pl.ds(chunk, 1), *at, pl.ds(0, lanes.size))].astype(weights.dtype)
            total += lax.dot_general(
                rows.reshape(total.shape[0], lanes.size),
                weights[(*tap, slice(None), lanes)],
                (((1,), (1,)), ((), ())),
                precision=precision,
                preferred_element_type=jnp.float32,
            )
    total = total.reshape(*blocks.counts, x.shape[-1])[(slice(None), *(slice(n) for n in x.shape[2:-1]))]
    x[0] = total.astype(x.dtype)
