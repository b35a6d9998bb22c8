"""The polyphase decomposition: which taps meet in which output rows, when no zeros are inserted.

On one axis tap `t` of input row `i` lands on row `i * stride + t * dilation` of the full output. Divide by
`step = gcd(stride, dilation)`: the rows between multiples of it stay empty, and with the coprime `s = stride / step`,
`d = dilation / step` the landing row is `i * s + t * d`. Write `t = j * s + u`, with phase `u < s`:

    row = (i + j * d) * s + u * d = m * s + u * d        with block m = i + j * d

So within a phase, the taps `j` meet input rows `d` apart: an ordinary correlation, with no zero in it. It is used in
two alignments:

- by block: `m` counts the rows of every phase, and all phases are made together, each with as many taps as the longest
  has. W. Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
  neural network" (2016) has the case of dilation 1, where placing the phases is a depth-to-space.
- by output row: row `p = q * stride + r` of the output belongs, by its residue `r`, to one phase or to none, which is
  computed apart with just the taps that it has: none too many where kernel and stride do not divide.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_tconv._call.geometry import Axis, Geometry
from jax_tconv._methods.rows import padded_rows, rows_at, write_rows


@dataclasses.dataclass(frozen=True)
class Phases:
    """One axis: `count` phases of up to `taps` taps, `dilation` blocks apart, in `blocks` blocks, `step` rows apart."""

    count: int
    taps: int
    dilation: int
    blocks: int
    step: int

    @property
    def around(self) -> int:
        """How many input rows a block meets besides the one of its own number, all of them before it."""
        return (self.taps - 1) * self.dilation


def phases_of(axis: Axis) -> Phases:
    """The phases on one spatial axis."""
    step = math.gcd(axis.stride, axis.dilation)
    s, d = axis.stride // step, axis.dilation // step
    taps = -(-axis.kernel_size // s)
    return Phases(s, taps, d, axis.input_size + (taps - 1) * d, step)


def phases(geometry: Geometry) -> list[Phases]:
    """The phases on each spatial axis."""
    return list(map(phases_of, geometry.axes))


# By block.


def split_taps(kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """`(*kernel_size, in, out)` as `(taps, phase, taps, phase, ..., in, out)`, zeros where a phase has fewer taps."""
    axes = phases(geometry)
    pads = [(0, axis.taps * axis.count - k) for axis, k in zip(axes, geometry.kernel_size, strict=True)]
    padded = jnp.pad(kernel, [*pads, (0, 0), (0, 0)])
    return padded.reshape(*(n for axis in axes for n in (axis.taps, axis.count)), *kernel.shape[-2:])


def join_taps(split: jax.Array, geometry: Geometry) -> jax.Array:
    """Undoes `split_taps`: what stands where a phase has fewer taps is taken off."""
    padded = split.reshape(*(axis.taps * axis.count for axis in phases(geometry)), *split.shape[-2:])
    return padded[tuple(map(slice, geometry.kernel_size))]


def block_matrix(kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """`(*taps * in, *phase * out)`: what the input rows that a block meets add to all its phases."""
    n, split = geometry.ndim, split_taps(kernel, geometry)
    matrix = split.transpose(*range(0, 2 * n, 2), 2 * n, *range(1, 2 * n, 2), 2 * n + 1)
    return matrix.reshape(math.prod(matrix.shape[: n + 1]), math.prod(matrix.shape[n + 1 :]))


def block_patches(x: jax.Array, start: Any, rows: int, geometry: Geometry, overhang: tuple[int, int]) -> jax.Array:
    """`(batch, rows, *blocks[1:], *taps * in)`: what these blocks meet; `overhang` as in `padded_rows`."""
    first, *rest = axes = phases(geometry)
    pads = [(axis.around, axis.around) for axis in rest]
    near = padded_rows(x, start - first.around, rows + first.around, overhang, pads)
    sizes = (rows, *(axis.blocks for axis in rest))
    met = [rows_met_by_blocks(near, tap, sizes, axes) for tap in np.ndindex(*(axis.taps for axis in axes))]
    return lax.concatenate(met, geometry.ndim + 1)


def rows_met_by_blocks(near: jax.Array, tap: Sequence[Any], sizes: Sequence[int], axes: Sequence[Phases]) -> jax.Array:
    """What so many blocks of each axis meet with this tap; `near` begins `around` rows before the first block."""
    # Tap j of block m meets input row m - j * d.
    return rows_at(near, [axis.around - j * axis.dilation for j, axis in zip(tap, axes, strict=True)], sizes)


def depth_to_space(blocks: jax.Array, n_axes: int) -> jax.Array:
    """`(batch, *blocks, *phase, out)` as `(batch, *blocks * phase, out)`: on each axis, each block's phases in turn."""
    pairs = [(1 + axis, 1 + n_axes + axis) for axis in range(n_axes)]
    sizes = [blocks.shape[block] * blocks.shape[phase] for block, phase in pairs]
    zipped = blocks.transpose(0, *itertools.chain(*pairs), 2 * n_axes + 1)
    return zipped.reshape(blocks.shape[0], *sizes, blocks.shape[-1])


def place(blocks: jax.Array, geometry: Geometry) -> jax.Array:
    """`(batch, *blocks, *phase, out)` as the output: every row where it belongs, padding taken off or added."""
    axes = phases(geometry)
    rows = depth_to_space(blocks, geometry.ndim)
    for number, phase in enumerate(axes):
        if phase.dilation > 1 and phase.count > 1:
            rows = jnp.take(rows, _rows_in_order(phase), axis=1 + number, mode="fill", fill_value=0)
    edges = [
        (-low, out + low - ((n - 1) * phase.step + 1), phase.step - 1)
        for low, out, n, phase in zip(geometry.padding_low, geometry.output_size, rows.shape[1:-1], axes, strict=True)
    ]
    return lax.pad(rows, jnp.zeros((), rows.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


def _rows_in_order(phase: Phases) -> np.ndarray:
    """Where, among rows `m * s + u`, the one that belongs at `p` stands: u * d = p (mod s), and m * s = p - u * d."""
    s, d = phase.count, phase.dilation
    p = np.arange((phase.blocks - 1) * s + (s - 1) * d + 1)
    u = p * pow(d, -1, s) % s
    m = (p - u * d) // s
    return np.where((m >= 0) & (m < phase.blocks), m * s + u, phase.blocks * s)


# By output row.

Residue = tuple[int, ...]
# One tap, an int per axis, and the shift of the input row that it meets.
Meeting = tuple[tuple[int, ...], tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Reach:
    """One axis: `count` values of `q` cover the output, and the input rows met are `q + low` to `q + high`."""

    count: int
    low: int
    high: int
    pads: tuple[int, int]


def meetings(axis: Axis) -> list[list[tuple[int, int]]]:
    """For each residue of the axis, the taps that meet there, and the shifts to the input rows that they meet.

    Phase `u` of block `m` is output row `m * stride + u * dilation - padding_low`; its tap `j` meets row `m - j * d`.
    """
    phase = phases_of(axis)
    found: list[list[tuple[int, int]]] = [[] for _ in range(axis.stride)]
    for u in range(min(phase.count, axis.kernel_size)):
        blocks, residue = divmod(u * axis.dilation - axis.padding_low, axis.stride)
        taps = range(u, axis.kernel_size, phase.count)
        found[residue] = [(tap, -blocks - j * phase.dilation) for j, tap in enumerate(taps)]
    return found


def rows_of(axis: Axis) -> int:
    """How many rows of `stride` residues cover the output."""
    return -(-axis.output_size // axis.stride)


def reach(axis: Axis) -> Reach:
    """How far the input rows that are met extend, and so how the input is to be padded."""
    shifts = [shift for taps in meetings(axis) for _, shift in taps]
    count = rows_of(axis)
    low, high = min(shifts), max(shifts)
    return Reach(count, low, high, (-low, count + high - axis.input_size))


def residues(geometry: Geometry) -> Iterator[tuple[Residue, list[Meeting]]]:
    """Every residue, an int per axis, with the taps that meet there and their shifts above `Reach.low`."""
    lows = [reach(axis).low for axis in geometry.axes]
    found = [meetings(axis) for axis in geometry.axes]
    for residue in itertools.product(*map(range, geometry.stride)):
        terms = itertools.product(*(taps[r] for taps, r in zip(found, residue, strict=True)))
        yield (
            residue,
            [
                (tuple(tap for tap, _ in term), tuple(s - low for (_, s), low in zip(term, lows, strict=True)))
                for term in terms
            ],
        )


def interleave(parts: dict[Residue, jax.Array], stride: Sequence[int]) -> jax.Array:
    """`depth_to_space` of phases that are arrays apart, `(batch, *counts, out)` for each residue, axis by axis."""

    def joined(known: Residue) -> jax.Array:
        axis = len(known)
        if axis == len(stride):
            return parts[known]
        inner = [joined((*known, residue)) for residue in range(stride[axis])]
        if len(inner) == 1:
            return inner[0]
        stacked = jnp.stack(inner, 2 + axis)
        shape = stacked.shape
        return stacked.reshape(*shape[: 1 + axis], shape[1 + axis] * shape[2 + axis], *shape[3 + axis :])

    return joined(())


def by_residue(
    x: jax.Array,
    geometry: Geometry,
    rows: int,
    parts: Callable[[jax.Array, tuple[int, ...]], dict[Residue, jax.Array]],
) -> jax.Array:
    """The output, `rows` values of `q` at a time.

    `parts(near, counts)` gives the output's rows for the residues that taps meet: `near` holds the input rows that
    `counts` values of `q` meet, from `Reach.low` on.
    """
    met = [reach(axis) for axis in geometry.axes]

    def compute(start: Any, rows: int) -> jax.Array:
        first, overlap = met[0], met[0].high - met[0].low
        near = padded_rows(x, start + first.low, rows + overlap, first.pads, [axis.pads for axis in met[1:]])
        found = parts(near, (rows, *(axis.count for axis in met[1:])))
        zeros = jnp.zeros_like(next(iter(found.values())))
        every = {residue: found.get(residue, zeros) for residue, _ in residues(geometry)}
        # Interleaving makes up to a stride more than the output has; of the first axis all chunks make some.
        y = interleave(every, geometry.stride)
        return rows_at(y, [0] * geometry.ndim, (y.shape[1], *geometry.output_size[1:]))

    y = write_rows(met[0].count, rows, compute, geometry.stride[0])
    return lax.slice_in_dim(y, 0, geometry.output_size[0], axis=1)
