"""One product per tap, each with a shifted slice of one array: nothing as large as the patches of col2im is held.

The forward op sums over the taps of a phase, for all phases at once, and interleaves them (`polyphase.py`); padding the
input first makes its terms plain slices. The input gradient sums, and the kernel gradient lists, products with every
`stride`-th row of the padded output cotangent, from the tap's own row on. Where each group has one channel the products
are multiplications (`depthwise_taps.py`); where the image is taken whole and has fewer pixels than channels, they are
one batched product (`heavy_taps.py`).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_tconv._call.call import Call, Op
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods import aligned_taps, depthwise_taps, heavy_taps
from jax_tconv._methods.polyphase import block_matrix, phases, place, rows_met_by_blocks
from jax_tconv._methods.products import Sums, over_groups, sum_of_terms
from jax_tconv._methods.rows import cotangent_rows, padded_rows, rows_met, sum_rows

# Up to so many terms stand in the program one by one, more become a loop: all terms of a whole image and all
# multiplications, which XLA then fuses, and matrix products, of which it would hold the operands all at once on a CPU.
MAX_UNROLLED = 64
MAX_UNROLLED_PRODUCTS = 4
CHUNK_MEGABYTES = 8


def variant(op: Op, call: Call) -> str:
    """`products` or, of one channel per group, `multiplications`; one after the other, in a loop over the taps, or one
    batched product; `aligned`, on several devices.
    """
    if call.several_devices and op != "kernel_gradient":
        return "aligned"
    counts = [axis.taps for axis in phases(call.geometry)] if op == "forward" else call.geometry.kernel_size
    groups = call.geometry.groups
    # Ungrouped, the kernel gradient of one channel is a product.
    depthwise = call.c_in == call.c_out == groups and not (op == "kernel_gradient" and groups == 1)
    pixels = call.known_batch * math.prod(call.geometry.input_size)
    if call.whole and pixels < min(call.group_in, call.group_out) and call.taps <= MAX_UNROLLED:
        return "one batched product"
    # Side by side, XLA would hold the operands of every tap's product at once; the kernel gradient's are the largest.
    most = MAX_UNROLLED if depthwise or call.whole else 0 if op == "kernel_gradient" else MAX_UNROLLED_PRODUCTS
    return ("multiplications" if depthwise else "products") + (" in a loop" if math.prod(counts) > most else "")


def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The transposed convolution."""
    return _compute("forward", x, kernel, geometry, sums)


def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The strided convolution."""
    return _compute("input_gradient", g, kernel, geometry, sums)


def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The kernel gradient."""
    return _compute("kernel_gradient", x, g, geometry, sums)


def _compute(op: Op, a: jax.Array, b: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    form = variant(op, Call.of(op, a.shape, b.shape, geometry, whole=sums.whole, several_devices=sums.split))
    if form in ("aligned", "one batched product"):
        compute: Callable[..., jax.Array] = getattr(aligned_taps if form == "aligned" else heavy_taps, op)
        return compute(a, b, geometry, sums)
    products = {"forward": _forward, "input_gradient": _input_gradient, "kernel_gradient": _kernel_gradient}
    compute = getattr(depthwise_taps, op) if form.startswith("multiplications") else products[op]
    return compute(a, b, geometry, sums, in_a_loop=form.endswith("loop"))


@over_groups("forward")
def _forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums, in_a_loop: bool) -> jax.Array:
    axes = phases(geometry)
    blocks, counts, taps = ([getattr(axis, name) for axis in axes] for name in ("blocks", "count", "taps"))
    padded = jnp.pad(x, [(0, 0), *((axis.around, axis.around) for axis in axes), (0, 0)])
    weights = block_matrix(kernel, geometry).reshape(*taps, kernel.shape[-2], math.prod(counts) * kernel.shape[-1])

    def term(tap: Sequence[Any]) -> jax.Array:
        return sums.product(rows_met_by_blocks(padded, tap, blocks, axes), weights[tuple(tap)])

    y = sum_of_terms(taps, term, in_a_loop)
    return place(y.reshape(*y.shape[:-1], *counts, kernel.shape[-1]), geometry)


@over_groups("input_gradient")
def _input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums, in_a_loop: bool) -> jax.Array:
    near = cotangent_rows(g, 0, geometry.input_size[0], geometry)

    def term(tap: Sequence[Any]) -> jax.Array:
        met = rows_met(near, tap, geometry.input_size, geometry)
        return sums.einsum("pO,IO->pI", met.reshape(math.prod(met.shape[:-1]), met.shape[-1]), kernel[tuple(tap)])

    x = sum_of_terms(geometry.kernel_size, term, in_a_loop)
    return x.reshape(g.shape[0], *geometry.input_size, x.shape[-1])


@over_groups("kernel_gradient")
def _kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums, in_a_loop: bool) -> jax.Array:
    n_rows, taps = geometry.input_size[0], math.prod(geometry.kernel_size)
    sizes = (geometry.groups, x.shape[0], math.prod(geometry.input_size) * x.shape[-1] + math.prod(g.shape[1:]))
    rows = sums.rows_per_chunk(n_rows, sizes, x.dtype.itemsize, CHUNK_MEGABYTES)

    def compute(start: Any, rows: int, beyond: int) -> jax.Array:
        near, sizes = cotangent_rows(g, start, rows, geometry, beyond), (rows, *geometry.input_size[1:])
        pixels = padded_rows(x, start, rows, (0, beyond))
        if not in_a_loop:
            return jnp.stack(
                [sums.gram(pixels, rows_met(near, tap, sizes, geometry)) for tap in np.ndindex(*geometry.kernel_size)]
            )
        # Turned over once, here: a product that has to do so does it for every tap.
        turned = lax.optimization_barrier(pixels.reshape(math.prod(pixels.shape[:-1]), pixels.shape[-1]).T)

        def tap_gradient(number: jax.Array) -> jax.Array:
            met = rows_met(near, jnp.unravel_index(number, geometry.kernel_size), sizes, geometry)
            return sums.matmul(turned, met.reshape(math.prod(met.shape[:-1]), met.shape[-1]))

        return lax.map(tap_gradient, jnp.arange(taps))

    gradients = sum_rows(n_rows, rows, compute)
    return gradients.reshape(*geometry.kernel_size, *gradients.shape[1:])
