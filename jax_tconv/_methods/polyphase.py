"""The phases of a transposed convolution: which taps meet, and where their results go, when no zeros are inserted.

On one axis tap `t` of input row `i` lands on row `i * stride + t * dilation`. Divide by `step = gcd(stride, dilation)`:
the rows between multiples of it stay empty, and with the coprime `s = stride / step`, `d = dilation / step` the landing
row is `i * s + t * d`. Write `t = j * s + u`, with phase `u < s`:

    row = (i + j * d) * s + u * d = m * s + u * d        with block m = i + j * d

So within a phase, the taps `j` meet input rows `d` apart, an ordinary convolution; and row `m` of phase `u` belongs at
`m * s + u * d`. W. Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel
convolutional neural network" (2016) has the case of dilation 1, where placing the phases is a depth-to-space.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_tconv._call.geometry import Geometry


@dataclasses.dataclass(frozen=True)
class Phases:
    """One axis: `count` phases of `taps` taps, `dilation` blocks apart; `blocks` blocks come out, rows `step` apart."""

    count: int
    taps: int
    dilation: int
    blocks: int
    step: int


def phases(geometry: Geometry) -> list[Phases]:
    """The phases on each spatial axis."""
    result = []
    for axis in geometry.axes:
        step = math.gcd(axis.stride, axis.dilation)
        s, d = axis.stride // step, axis.dilation // step
        taps = -(-axis.kernel_size // s)
        result.append(Phases(s, taps, d, axis.input_size + (taps - 1) * d, step))
    return result


def split_taps(kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """`(*kernel_size, in, out)` as `(taps, phase, taps, phase, ..., in, out)`: an axis pair for each spatial axis."""
    axes = phases(geometry)
    pads = [(0, axis.taps * axis.count - k) for axis, k in zip(axes, geometry.kernel_size, strict=True)]
    padded = jnp.pad(kernel, [*pads, (0, 0), (0, 0)])
    return padded.reshape(*(n for axis in axes for n in (axis.taps, axis.count)), *kernel.shape[-2:])


def block_matrix(kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """`(*taps * in, *phase * out)`: what the input rows that a block meets add to all its phases."""
    n, split = geometry.ndim, split_taps(kernel, geometry)
    matrix = split.transpose(*range(0, 2 * n, 2), 2 * n, *range(1, 2 * n, 2), 2 * n + 1)
    return matrix.reshape(math.prod(matrix.shape[: n + 1]), math.prod(matrix.shape[n + 1 :]))


def place(blocks: jax.Array, geometry: Geometry) -> jax.Array:
    """`(batch, *blocks, *phase, out)` as the output: every row where it belongs, padding taken off or added."""
    n_axes = geometry.ndim
    for axis, phase in enumerate(phases(geometry)):
        # Bring the axis's phase beside its blocks and read both as rows m * s + u. Of the later axes, blocks and phases
        # still stand apart.
        blocks = jnp.moveaxis(blocks, 1 + n_axes, 2 + axis)
        blocks = blocks.reshape(*blocks.shape[: 1 + axis], phase.blocks * phase.count, *blocks.shape[3 + axis :])
        if phase.dilation > 1 and phase.count > 1:
            blocks = jnp.take(blocks, _rows_in_order(phase), axis=1 + axis, mode="fill", fill_value=0)
    steps = [phase.step for phase in phases(geometry)]
    sizes = blocks.shape[1:-1]
    edges = [
        (-low, out + low - ((n - 1) * step + 1), step - 1)
        for low, out, n, step in zip(geometry.padding_low, geometry.output_size, sizes, steps, strict=True)
    ]
    return lax.pad(blocks, jnp.zeros((), blocks.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


def _rows_in_order(phase: Phases) -> np.ndarray:
    """Where, among rows `m * s + u`, the one that belongs at `p` stands: u * d = p (mod s), and m * s = p - u * d."""
    s, d = phase.count, phase.dilation
    p = np.arange((phase.blocks - 1) * s + (s - 1) * d + 1)
    u = p * pow(d, -1, s) % s
    m = (p - u * d) // s
    return np.where((m >= 0) & (m < phase.blocks), m * s + u, phase.blocks * s)
