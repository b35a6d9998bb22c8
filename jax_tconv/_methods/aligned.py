"""The polyphase decomposition in arrays that keep the rows of the input: the forms that are split over devices.

Where an image is split by rows, an array with one row more does not lie where the image lay, and the compiler sends
all of it around. So every array here has as many rows as the input, or `stride` times as many: row `q * stride + r` of
the output is residue `r` of row `q`, and its taps meet input rows `q + shift`. The rows a shift further on are one
`lax.pad` whose two edges cancel, for which a device gets just those rows from its neighbours. That holds for an axis on
which the output has `stride` times the rows of the input; on others the values are the same, and more is sent.

Residues whose taps have the same shifts are a class, and are computed together. On an axis there are up to four, or
where it is dilated up to `stride`. The channels are never part of a larger axis, so that they may be split too.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from jax_tconv._call.geometry import Axis, Geometry
from jax_tconv._methods.polyphase import depth_to_space, meetings, rows_of
from jax_tconv._methods.products import Sums


class Class(NamedTuple):
    """Residues of one axis with the same shifts: `taps[j][i]` of the kernel meets `shifts[j]` at `residues[i]`."""

    residues: list[int]
    shifts: tuple[int, ...]
    taps: list[list[int]]


Chosen: TypeAlias = tuple[Class, ...]
Shifted: TypeAlias = Callable[[tuple[int, ...]], jax.Array]
# Gives `(batch, *counts, *residues, out)` for a class of each axis, from the shifted inputs and from the taps, which
# are `(*shifts, *residues, in, out)`.
Combine: TypeAlias = Callable[[Shifted, Chosen, jax.Array], jax.Array]


def classes(axis: Axis) -> list[Class]:
    """The classes of one axis, in the order of their first residues."""
    found: dict[tuple[int, ...], list[tuple[int, list[int]]]] = {}
    for residue, met in enumerate(meetings(axis)):
        found.setdefault(tuple(shift for _, shift in met), []).append((residue, [tap for tap, _ in met]))
    every = []
    for shifts, members in found.items():
        taps = [list(row) for row in zip(*(taps for _, taps in members), strict=True)]
        every.append(Class([residue for residue, _ in members], shifts, taps))
    return every


def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, combine: Combine) -> jax.Array:
    """The transposed convolution, its products and their sums being what `combine` makes of each class."""
    n, counts = geometry.ndim, [rows_of(axis) for axis in geometry.axes]
    every = [classes(axis) for axis in geometry.axes]

    @functools.cache
    def shifted(shifts: tuple[int, ...]) -> jax.Array:
        if not shifts:
            return x
        number = len(shifts) - 1
        return _shifted(shifted(shifts[:-1]), 1 + number, shifts[-1], counts[number])

    numbers = list(itertools.product(*(range(len(each)) for each in every)))
    chosen = {at: tuple(each[i] for i, each in zip(at, every, strict=True)) for at in numbers}
    parts = {
        at: combine(shifted, some, _weights(kernel, some))
        for at, some in chosen.items()
        if all(each.shifts for each in some)
    }
    like = next(iter(parts.values()))

    def joined(at: tuple[int, ...]) -> jax.Array:
        number = len(at)
        if number == n:
            sizes = [len(each.residues) for each in chosen[at]]
            return parts[at] if at in parts else jnp.zeros((*like.shape[: 1 + n], *sizes, like.shape[-1]), like.dtype)
        order = [residue for each in every[number] for residue in each.residues]
        whole = lax.concatenate([joined((*at, i)) for i in range(len(every[number]))], 1 + n + number)
        return _taken(whole, 1 + n + number, [order.index(residue) for residue in range(len(order))])

    y = depth_to_space(joined(()), n)
    for number, axis in enumerate(geometry.axes):
        y = _shifted(y, 1 + number, 0, axis.output_size)
    return y


def rows_met(g: jax.Array, geometry: Geometry) -> dict[tuple[int, ...], jax.Array]:
    """What the input pixels meet with each tap in the cotangent, `(batch, *input_size, out)` each."""
    met: dict[tuple[int, ...], jax.Array] = {(): g}
    for number in range(geometry.ndim):
        met = {
            (*taps, tap): rows
            for taps, array in met.items()
            for tap, rows in enumerate(_rows_met(array, geometry, number))
        }
    return met


def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The strided convolution of one group: the cotangent's patches times the kernel."""
    n = geometry.ndim
    return sums.dot(_patches(g, geometry), kernel.transpose(*reversed(range(n)), n + 1, n), n + 1)


def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The kernel gradient of one group: the input times the cotangent's patches, in one product and so in one sum."""
    n = geometry.ndim
    gradient = sums.gram_of(x, _patches(g, geometry), n + 1)
    return gradient.transpose(*reversed(range(1, n + 1)), 0, n + 1)


def _patches(g: jax.Array, geometry: Geometry) -> jax.Array:
    """`(batch, *input_size, *taps, out)`, where the taps of the last axis come first."""
    for number in range(geometry.ndim):
        g = jnp.stack(_rows_met(g, geometry, number), 1 + geometry.ndim)
    return g


def _rows_met(g: jax.Array, geometry: Geometry, number: int) -> list[jax.Array]:
    """For each tap of one axis the rows of the cotangent that the input rows meet."""
    axis, at = geometry.axes[number], 1 + number
    count = rows_of(axis)
    g = _shifted(g, at, 0, count * axis.stride)
    phases = g.reshape(*g.shape[:at], count, axis.stride, *g.shape[at + 1 :])
    met: dict[int, jax.Array] = {}
    for each in classes(axis):
        for shift, taps in zip(each.shifts, each.taps, strict=True):
            rows = _shifted(_taken(phases, at + 1, each.residues), at, -shift, axis.input_size)
            met |= {tap: lax.index_in_dim(rows, i, at + 1, keepdims=False) for i, tap in enumerate(taps)}
    return [met[tap] for tap in range(axis.kernel_size)]


def _weights(kernel: jax.Array, chosen: Chosen) -> jax.Array:
    """`(*shifts, *residues, in, out)`."""
    n = len(chosen)
    for number, each in enumerate(chosen):
        # The axes before have two each already.
        at, sizes = 2 * number, (len(each.shifts), len(each.residues))
        flat = _taken(kernel, at, [tap for taps in each.taps for tap in taps])
        kernel = flat.reshape(*flat.shape[:at], *sizes, *flat.shape[at + 1 :])
    return kernel.transpose(*range(0, 2 * n, 2), *range(1, 2 * n, 2), 2 * n, 2 * n + 1)


def _shifted(array: jax.Array, axis: int, shift: int, count: int) -> jax.Array:
    """Rows `shift` to `shift + count` of an axis, zeros where there are none."""
    edges = [(0, 0, 0)] * array.ndim
    edges[axis] = (-shift, shift + count - array.shape[axis], 0)
    return lax.pad(array, jnp.zeros((), array.dtype), edges)


def _taken(array: jax.Array, axis: int, indices: Sequence[int]) -> jax.Array:
    """`jnp.take`, as a slice where the indices are in a row."""
    first, count = indices[0], len(indices)
    if list(indices) == list(range(first, first + count)):
        return lax.slice_in_dim(array, first, first + count, 1, axis)
    return jnp.take(array, jnp.array(indices), axis, mode="clip")
