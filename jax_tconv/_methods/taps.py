"""One product per tap, each with a shifted slice of one array: nothing as large as the patches of col2im is held.

The forward op sums over the taps of a phase, for all phases at once, and interleaves them (`polyphase.py`); padding the
input first makes its terms plain slices. The input gradient sums, and the kernel gradient lists, products with every
`stride`-th row of the padded output cotangent, from the tap's own row on. Where each group has one channel the products
are multiplications, which XLA fuses. Where the image is taken whole and has fewer pixels than channels, the products of
all taps are one batched product: it reads and writes the kernel, by far the largest array, as it is stored.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_tconv._call.call import Call, Op
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods import aligned
from jax_tconv._methods.polyphase import by_residue, phases, place, reach, residues, rows_met_by_blocks, split_taps
from jax_tconv._methods.products import Sums, channels_by_group, channels_together, kernel_by_group, over_groups
from jax_tconv._methods.rows import cotangent_rows, padded_rows, rows_at, rows_met, sum_rows

# Up to so many terms stand in the program one by one, more become a loop: all terms of a whole image and all
# multiplications, which XLA then fuses, and matrix products, of which it would hold the operands all at once on a CPU.
MAX_UNROLLED = 64
MAX_UNROLLED_PRODUCTS = 4
CHUNK_MEGABYTES = 8
# XLA holds the products of each tap.
DEPTHWISE_MEGABYTES = 1


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
    if sums.split:
        return aligned.forward(x, kernel, geometry, functools.partial(_by_class, geometry.groups, sums))
    form = variant("forward", Call.of("forward", x.shape, kernel.shape, geometry, whole=sums.whole))
    if form == "one batched product":
        return _batched_forward(x, kernel, geometry, sums)
    n, axes = geometry.ndim, phases(geometry)
    pads = [(0, 0), *((axis.around, axis.around) for axis in axes), (0, 0), (0, 0)]
    padded = jnp.pad(channels_by_group(x, geometry.groups), pads)
    weights = split_taps(kernel, geometry)
    weights = weights.transpose(*range(0, 2 * n, 2), *range(1, 2 * n, 2), 2 * n, 2 * n + 1)
    weights = kernel_by_group(weights, geometry.groups)
    rows, phase = "abcdefgh"[:n], "ijklmnop"[:n]

    def term(tap: Sequence[Any]) -> jax.Array:
        shifted = rows_met_by_blocks(padded, tap, [axis.blocks for axis in axes], axes)
        return _product(f"N{rows}GI,{phase}GIO->N{rows}{phase}GO", shifted, weights[tuple(tap)], sums)

    return place(channels_together(_sum([axis.taps for axis in axes], term, form)), geometry)


def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The strided convolution."""
    if sums.split:
        return _aligned_input_gradient(g, kernel, geometry, sums)
    form = variant("input_gradient", Call.of("input_gradient", g.shape, kernel.shape, geometry, whole=sums.whole))
    if form == "one batched product":
        return _batched_input_gradient(g, kernel, geometry, sums)
    padded = channels_by_group(cotangent_rows(g, 0, geometry.input_size[0], geometry), geometry.groups)
    weights, rows = kernel_by_group(kernel, geometry.groups), "abcdefgh"[: geometry.ndim]

    def term(tap: Sequence[Any]) -> jax.Array:
        met = rows_met(padded, tap, geometry.input_size, geometry)
        return _product(f"N{rows}GO,GIO->N{rows}GI", met, weights[tuple(tap)], sums)

    return channels_together(_sum(geometry.kernel_size, term, form))


def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The kernel gradient."""
    form = variant("kernel_gradient", Call.of("kernel_gradient", x.shape, g.shape, geometry, whole=sums.whole))
    if form == "one batched product":
        return _batched_kernel_gradient(x, g, geometry, sums)
    compute = _multiplications if form.startswith("multiplications") else _products
    return compute(x, g, geometry, sums, in_a_loop=form.endswith("loop"))


@over_groups("kernel_gradient")
def _products(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums, in_a_loop: bool) -> jax.Array:
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


def _multiplications(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums, in_a_loop: bool) -> jax.Array:
    n_rows, taps, axes = geometry.input_size[0], math.prod(geometry.kernel_size), tuple(range(x.ndim - 1))
    rows = sums.rows_per_chunk(n_rows, x.shape, x.dtype.itemsize, DEPTHWISE_MEGABYTES)

    def compute(start: Any, rows: int, beyond: int) -> jax.Array:
        near, sizes = cotangent_rows(g, start, rows, geometry, beyond), (rows, *geometry.input_size[1:])
        near = near.astype(sums.dtype)
        pixels = padded_rows(x, start, rows, (0, beyond)).astype(sums.dtype)
        gradient = lambda tap: (pixels * rows_met(near, tap, sizes, geometry)).sum(axes)  # noqa: E731
        if in_a_loop:
            return lax.map(lambda number: gradient(jnp.unravel_index(number, geometry.kernel_size)), jnp.arange(taps))
        return jnp.stack([gradient(tap) for tap in np.ndindex(*geometry.kernel_size)])

    return sum_rows(n_rows, rows, compute).reshape(*geometry.kernel_size, x.shape[-1], 1)


def _by_class(
    groups: int, sums: Sums, shifted: aligned.Shifted, chosen: aligned.Chosen, weights: jax.Array
) -> jax.Array:
    n, weights = len(chosen), kernel_by_group(weights, groups)
    rows, phase = "abcdefgh"[:n], "ijklmnop"[:n]
    terms = (
        _product(
            f"N{rows}GI,{phase}GIO->N{rows}{phase}GO", channels_by_group(shifted(shifts), groups), weights[at], sums
        )
        for at, shifts in zip(
            np.ndindex(*weights.shape[:n]), itertools.product(*(each.shifts for each in chosen)), strict=True
        )
    )
    return channels_together(functools.reduce(lax.add, terms))


def _aligned_input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    weights, rows = kernel_by_group(kernel, geometry.groups), "abcdefgh"[: geometry.ndim]
    terms = (
        _product(f"N{rows}GO,GIO->N{rows}GI", channels_by_group(met, geometry.groups), weights[tap], sums)
        for tap, met in aligned.rows_met(g, geometry).items()
    )
    return channels_together(functools.reduce(lax.add, terms))


@over_groups("forward")
def _batched_forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    taps = list(np.ndindex(*geometry.kernel_size))
    weights = kernel.reshape(len(taps), *kernel.shape[-2:])

    def parts(near: jax.Array, counts: tuple[int, ...]) -> dict[tuple[int, ...], jax.Array]:
        products = sums.einsum("tpI,tIO->tpO", _flat_for_each(len(taps), near), weights)
        products = dict(zip(taps, products.reshape(len(taps), *near.shape[:-1], products.shape[-1]), strict=True))
        return {
            residue: functools.reduce(lax.add, [rows_at(products[tap], starts, counts) for tap, starts in meetings])
            for residue, meetings in residues(geometry)
            if meetings
        }

    return by_residue(x, geometry, reach(geometry.axes[0]).count, parts)


@over_groups("input_gradient")
def _batched_input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    met = _rows_met_by_taps(g, geometry)
    x = sums.einsum("tpO,tIO->pI", met, kernel.reshape(met.shape[0], *kernel.shape[-2:]))
    return x.reshape(g.shape[0], *geometry.input_size, x.shape[-1])


@over_groups("kernel_gradient")
def _batched_kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    met = _rows_met_by_taps(g, geometry)
    gradient = sums.einsum("tpI,tpO->tIO", _flat_for_each(met.shape[0], x), met)
    return gradient.reshape(*geometry.kernel_size, *gradient.shape[1:])


def _rows_met_by_taps(g: jax.Array, geometry: Geometry) -> jax.Array:
    """`(taps, pixels, out)`: what the input pixels meet with each tap."""
    near = cotangent_rows(g, 0, geometry.input_size[0], geometry)
    met = jnp.stack([rows_met(near, tap, geometry.input_size, geometry) for tap in np.ndindex(*geometry.kernel_size)])
    return met.reshape(met.shape[0], math.prod(met.shape[1:-1]), met.shape[-1])


def _flat_for_each(taps: int, x: jax.Array) -> jax.Array:
    """`(taps, pixels, in)`: as a batch of products it leaves the kernel, the other operand, as it is stored."""
    flat = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return jnp.broadcast_to(flat, (taps, *flat.shape))


def _sum(counts: Sequence[int], term: Callable[[Sequence[Any]], jax.Array], form: str) -> jax.Array:
    """The sum of `term` over all indices below `counts`."""
    if not form.endswith("loop"):
        return functools.reduce(lax.add, map(term, np.ndindex(*counts)))
    first = term([0] * len(counts))
    add = lambda number, total: total + term(jnp.unravel_index(number, tuple(counts)))  # noqa: E731
    return lax.fori_loop(1, math.prod(counts), add, first)


def _product(equation: str, a: jax.Array, b: jax.Array, sums: Sums) -> jax.Array:
    """The einsum; multiplied outright where each group has one channel in and out."""
    forms = equation.replace("->", ",").split(",")
    sizes = dict(zip(forms[0], a.shape, strict=True)) | dict(zip(forms[1], b.shape, strict=True))
    if (sizes["I"], sizes["O"]) != (1, 1):
        return sums.einsum(equation, a, b)
    # Without the two, all forms keep the result's letters in one order: one that is missing is broadcast over.
    letters = forms[2].rstrip("IO")
    a, b = (
        array.reshape([sizes[letter] if letter in form else 1 for letter in letters]).astype(sums.dtype)
        for array, form in zip((a, b), forms, strict=False)
    )
    return (a * b).reshape([sizes[letter] for letter in forms[2]])
