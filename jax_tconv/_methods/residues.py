"""Which kernel taps make which output rows, exactly: no tap too many where stride and kernel do not divide.

Output row `q * stride + r` is met by tap `t` of the input row `i` with `i * stride + t * dilation = q * stride + r +
padding_low` (`geometry.py`): so by the taps for which `r + padding_low - t * dilation` is a multiple of the stride, and
then `i = q + shift`. For each residue `r` this is an ordinary correlation of the input with some of the taps.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_tconv._call.geometry import Axis, Geometry
from jax_tconv._methods.rows import padded_rows, rows_at, write_rows

Residue = tuple[int, ...]
# One tap, an int an axis, and the shift of the input row that it meets.
Meeting = tuple[tuple[int, ...], tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Reach:
    """One axis: `count` values of `q` cover the output, and the input rows met are `q + low` to `q + high`."""

    count: int
    low: int
    high: int
    pads: tuple[int, int]


def meetings(axis: Axis) -> list[list[tuple[int, int]]]:
    """For each residue of the axis, its taps and their shifts."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(axis.stride)]
    for tap in range(axis.kernel_size):
        # The residue r that makes r + padding_low - tap * dilation a multiple of the stride.
        shift, residue = divmod(tap * axis.dilation - axis.padding_low, axis.stride)
        found[residue].append((tap, -shift))
    return found


def reach(axis: Axis) -> Reach:
    """How far the input rows that are met extend, and so how the input is to be padded."""
    shifts = [shift for taps in meetings(axis) for _, shift in taps]
    count = -(-axis.output_size // axis.stride)
    low, high = min(shifts), max(shifts)
    return Reach(count, low, high, (-low, count + high - axis.input_size))


def residues(geometry: Geometry) -> Iterator[tuple[Residue, list[Meeting]]]:
    """Every residue, an int an axis, with the taps that meet there and their shifts above `Reach.low`."""
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
    """One array `(batch, *counts, out)` for each residue as `(batch, *counts * stride, out)`."""

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


def output(
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
