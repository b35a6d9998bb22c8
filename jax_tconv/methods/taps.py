"""One product a tap, each with a shifted slice of one array: nothing as large as the patches of col2im is held.

T sums over the taps of a phase, for all phases at once, and interleaves them (`phases.py`); padding the input first
makes its terms plain slices. C sums, and W lists, products with every `stride`-th row of the padded output cotangent,
from the tap's own row on. Where each group has one channel the products are multiplications, which XLA fuses.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jax_tconv.geometry import Geometry
from jax_tconv.methods.layout import channels_by_group, channels_together, kernel_by_group
from jax_tconv.methods.phases import phases, place, split_taps

# Up to so many terms stand in the program one by one, more become a loop: multiplications, which XLA then fuses, and
# matrix products, of which it would hold the operands all at once.
MAX_UNROLLED_FUSED = 64
MAX_UNROLLED = 4


def T(x: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The transposed convolution."""
    n, axes = geometry.ndim, phases(geometry)
    reach = [(axis.taps - 1) * axis.dilation for axis in axes]
    padded = jnp.pad(channels_by_group(x, geometry.groups), [(0, 0), *((r, r) for r in reach), (0, 0), (0, 0)])
    weights = split_taps(kernel, geometry)
    weights = weights.transpose(*range(0, 2 * n, 2), *range(1, 2 * n, 2), 2 * n, 2 * n + 1)
    weights = kernel_by_group(weights, geometry.groups)
    rows, phase = "abcdefgh"[:n], "ijklmnop"[:n]

    def term(tap: Sequence[Any]) -> jax.Array:
        starts = [r - j * axis.dilation for j, r, axis in zip(tap, reach, axes, strict=True)]
        shifted = _rows(padded, starts, [axis.blocks for axis in axes])
        equation = f"N{rows}GI,{phase}GIO->N{rows}{phase}GO"
        return _product(equation, shifted, weights[tuple(tap)], precision, accumulate)

    blocks = _sum([axis.taps for axis in axes], term, _depthwise(kernel, geometry))
    return place(channels_together(blocks), geometry)


def C(g: jax.Array, kernel: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The strided convolution."""
    padded, weights = _padded_cotangent(g, geometry), kernel_by_group(kernel, geometry.groups)
    rows = "abcdefgh"[: geometry.ndim]

    def term(tap: Sequence[Any]) -> jax.Array:
        met = _rows_met(padded, tap, geometry)
        return _product(f"N{rows}GO,GIO->N{rows}GI", met, weights[tuple(tap)], precision, accumulate)

    x = _sum(geometry.kernel_size, term, _depthwise(kernel, geometry))
    return channels_together(x)


def W(x: jax.Array, g: jax.Array, geometry: Geometry, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The kernel gradient."""
    padded, x = _padded_cotangent(g, geometry), channels_by_group(x, geometry.groups)
    rows = "abcdefgh"[: geometry.ndim]

    def tap_gradient(number: jax.Array) -> jax.Array:
        met = _rows_met(padded, jnp.unravel_index(number, geometry.kernel_size), geometry)
        return _product(f"N{rows}GI,N{rows}GO->GIO", x, met, precision, accumulate)

    # A loop: side by side, XLA would hold every tap's operands at once.
    gradients = lax.map(tap_gradient, jnp.arange(math.prod(geometry.kernel_size)))
    return gradients.reshape(*geometry.kernel_size, x.shape[-2] * x.shape[-1], gradients.shape[-1])


def _depthwise(kernel: jax.Array, geometry: Geometry) -> bool:
    return (kernel.shape[-2], kernel.shape[-1]) == (geometry.groups, 1)


def _sum(counts: Sequence[int], term: Callable[[Sequence[Any]], jax.Array], fused: bool) -> jax.Array:
    """The sum of `term` over all indices below `counts`."""
    if math.prod(counts) <= (MAX_UNROLLED_FUSED if fused else MAX_UNROLLED):
        return functools.reduce(lax.add, map(term, np.ndindex(*counts)))
    first = term([0] * len(counts))
    add = lambda number, total: total + term(jnp.unravel_index(number, tuple(counts)))  # noqa: E731
    return lax.fori_loop(1, math.prod(counts), add, first)


def _product(equation: str, a: jax.Array, b: jax.Array, precision: Any, accumulate: DTypeLike) -> jax.Array:
    """The einsum; multiplied and summed outright where each group has one channel in and out."""
    forms = equation.replace("->", ",").split(",")
    sizes = dict(zip(forms[0], a.shape, strict=True)) | dict(zip(forms[1], b.shape, strict=True))
    if (sizes["I"], sizes["O"]) != (1, 1):
        return jnp.einsum(equation, a, b, precision=precision, preferred_element_type=accumulate)
    # Without the two, all forms keep their letters in one order: one that is missing is broadcast, or summed, over.
    letters = max(forms, key=len).rstrip("IO")
    a, b = (
        array.reshape([sizes[letter] if letter in form else 1 for letter in letters]).astype(accumulate)
        for array, form in zip((a, b), forms, strict=False)
    )
    result = (a * b).sum([n for n, letter in enumerate(letters) if letter not in forms[2]])
    return result.reshape([sizes[letter] for letter in forms[2]])


def _padded_cotangent(g: jax.Array, geometry: Geometry) -> jax.Array:
    """`g` with a row for every tap of every input row, as C pads it."""
    pads = [(low, high, 0) for low, high in zip(geometry.padding_low, geometry.padding_high, strict=True)]
    padded = lax.pad(g, jnp.zeros((), g.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    return channels_by_group(padded, geometry.groups)


def _rows_met(padded: jax.Array, tap: Sequence[Any], geometry: Geometry) -> jax.Array:
    """The rows that this tap meets, one for each input row."""
    extents = [(n - 1) * s + 1 for n, s in zip(geometry.input_size, geometry.stride, strict=True)]
    rows = _rows(padded, [t * d for t, d in zip(tap, geometry.dilation, strict=True)], extents)
    return rows[(slice(None), *(slice(None, None, s) for s in geometry.stride))]


def _rows(array: jax.Array, starts: Sequence[Any], sizes: Sequence[int]) -> jax.Array:
    """So many rows of each spatial axis, from `starts` on; an index may be known only when the program runs."""
    n = len(sizes)
    return lax.dynamic_slice(array, (0, *starts, 0, 0), (array.shape[0], *sizes, *array.shape[1 + n :]))
