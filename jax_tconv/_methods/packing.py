"""Several groups as one, whose kernel is block-diagonal: for hardware that multiplies 128 channels as fast as one.

A TPU's matrix unit takes 128 x 128 values at a time (256 x 256 from v6e on); of a group with fewer channels it leaves
the rest idle, and XLA computes small groups one after the other. The zeros between the blocks are multiplied as well:
an infinity in one channel makes NaNs in the other groups of its pack.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jax_tconv._call.call import Call, Op
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.products import Form

# Channels, in or out, that a pack may have.
WIDEST = 512


def packs(call: Call) -> int:
    """Into how many packs the groups go: as few as `WIDEST` allows."""
    groups, widest = call.geometry.groups, max(call.c_in, call.c_out)
    return next(n for n in range(1, groups + 1) if groups % n == 0 and (n == groups or widest // n <= WIDEST))


def packed(op: Op, form: Form, n_packs: int) -> Form:
    """A method's form of `op`, applied to so many packs."""

    def apply(a: jax.Array, b: jax.Array, geometry: Geometry, *rest: Any) -> jax.Array:
        packs = geometry.with_groups(n_packs)
        if op == "kernel_gradient":
            return _diagonal(form(a, b, packs, *rest), geometry.groups, n_packs)
        return form(a, _block_diagonal(b, geometry.groups, n_packs), packs, *rest)

    return apply


def _block_diagonal(kernel: jax.Array, groups: int, n_packs: int) -> jax.Array:
    """`(*taps, in, out // groups)` as `(*taps, in, out // n_packs)`."""
    own = _own_block(kernel.shape[-2], groups, n_packs)
    blocks = jnp.where(own, kernel[..., None, :], jnp.zeros((), kernel.dtype))
    return blocks.reshape(*blocks.shape[:-2], blocks.shape[-2] * blocks.shape[-1])


def _diagonal(kernel: jax.Array, groups: int, n_packs: int) -> jax.Array:
    """Undoes `_block_diagonal`, of a gradient that has values between the blocks too."""
    *taps, c_in, c_out = kernel.shape
    per_pack = groups // n_packs
    blocks = kernel.reshape(*taps, c_in, per_pack, c_out // per_pack)
    return jnp.where(_own_block(c_in, groups, n_packs), blocks, jnp.zeros((), kernel.dtype)).sum(-2)


def _own_block(c_in: int, groups: int, n_packs: int) -> jax.Array:
    """`(in, groups of a pack, 1)`: whether an input channel is of this group of its pack."""
    group = jnp.arange(c_in) // (c_in // groups) % (groups // n_packs)
    return (group[:, None] == jnp.arange(groups // n_packs))[..., None]
