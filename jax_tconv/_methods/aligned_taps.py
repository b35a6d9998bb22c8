"""The products of `taps` in arrays that are split over devices (`aligned.py`)."""

import functools
import itertools

import jax
import numpy as np
from jax import lax

from jax_tconv._call.geometry import Geometry
from jax_tconv._methods import aligned
from jax_tconv._methods.products import Sums, channels_by_group, channels_together, kernel_by_group


def forward(x: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The transposed convolution."""
    return aligned.forward(x, kernel, geometry, functools.partial(_by_class, geometry.groups, sums))


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


def input_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums) -> jax.Array:
    """The strided convolution."""
    weights, rows = kernel_by_group(kernel, geometry.groups), "abcdefgh"[: geometry.ndim]
    terms = (
        _product(f"N{rows}GO,GIO->N{rows}GI", channels_by_group(met, geometry.groups), weights[tap], sums)
        for tap, met in aligned.rows_met(g, geometry).items()
    )
    return channels_together(functools.reduce(lax.add, terms))


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
