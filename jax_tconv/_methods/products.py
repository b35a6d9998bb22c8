"""Products and convolutions as the methods write them: summed as asked for, and over the channels of each group.

A grouped op becomes ungrouped ones, side by side or mapped over the groups so that products become batched products.
XLA's own grouped convolution gathers a batch-sharded input on every device, and is slow on a CPU; these do neither. The
program grows with the groups side by side, and not with those mapped over, whose products are slower.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jax_tconv._call.call import OPERANDS, RESULT, Op, grouped_axis
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods.rows import rows_per_chunk

Form = Callable[..., jax.Array]


class Sums(NamedTuple):
    """How products are summed: the `precision` of the products, as lax has it, and the dtype of sums and results.

    `whole`: the image is taken whole, and not a few rows at a time as suits a CPU's cache (`rows.py`). `split`: the
    compiler splits the program over several devices. An array of which one axis was made of two it would gather first,
    so products leave all axes as they are.
    """

    precision: Any
    dtype: DTypeLike
    whole: bool = False
    split: bool = False

    def rows_per_chunk(self, n_rows: int, *rest: Any, **options: Any) -> int:
        """How many rows to take at a time; arguments as for the function of that name."""
        return n_rows if self.whole else rows_per_chunk(n_rows, *rest, **options)

    def product(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """The last axis of `a` against the first of `b`: `(*rest of a, *rest of b)`."""
        if self.split:
            return self.dot(a, b, 1)
        # In two axes from the start: XLA multiplies more of them more slowly on a CPU.
        rows, columns = a.shape[:-1], b.shape[1:]
        result = self.matmul(a.reshape(math.prod(rows), a.shape[-1]), b.reshape(b.shape[0], math.prod(columns)))
        return result.reshape(*rows, *columns)

    def gram(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """The product of all but the last axes of `a` against those of `b`: `(last of a, last of b)`."""
        if self.split:
            return self.gram_of(a, b, a.ndim - 1)
        a, b = (array.reshape(math.prod(array.shape[:-1]), array.shape[-1]) for array in (a, b))
        return self.matmul(a.T, b)

    def apart(self, array: jax.Array) -> jax.Array:
        """The array, its last axis against all others as products take it, made before the product that it goes into.

        XLA's GPU compiler moves what makes an operand into the product's kernel, and fails where that has no tiles.
        """
        if not self.whole:
            return array
        if self.split:
            return lax.optimization_barrier(array)
        flat = array.reshape(math.prod(array.shape[:-1]), array.shape[-1])
        return lax.optimization_barrier(flat).reshape(array.shape)

    def dot(self, a: jax.Array, b: jax.Array, n_axes: int) -> jax.Array:
        """The last so many axes of `a` against the first of `b`."""
        return self._dot(a, b, range(a.ndim - n_axes, a.ndim), range(n_axes))

    def gram_of(self, a: jax.Array, b: jax.Array, n_axes: int) -> jax.Array:
        """The first so many axes of both against each other."""
        return self._dot(a, b, range(n_axes), range(n_axes))

    def _dot(self, a: jax.Array, b: jax.Array, axes_of_a: Sequence[int], axes_of_b: Sequence[int]) -> jax.Array:
        numbers = ((tuple(axes_of_a), tuple(axes_of_b)), ((), ()))
        return lax.dot_general(a, b, numbers, precision=self.precision, preferred_element_type=self.dtype)

    def matmul(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """The product of two matrices."""
        return jnp.matmul(a, b, precision=self.precision, preferred_element_type=self.dtype)

    def einsum(self, equation: str, a: jax.Array, b: jax.Array) -> jax.Array:
        """As `jnp.einsum`."""
        return jnp.einsum(equation, a, b, precision=self.precision, preferred_element_type=self.dtype)

    def convolution(self, a: jax.Array, b: jax.Array, axes: tuple[str, str, str], **arguments: Any) -> jax.Array:
        """As `lax.conv_general_dilated`, with `*` for all the spatial axes in the letters of the two and the result."""
        spatial = "".join(chr(ord("a") + axis) for axis in range(a.ndim - 2))
        lhs, rhs, out = (letters.replace("*", spatial) for letters in axes)
        return lax.conv_general_dilated(
            a,
            b,
            dimension_numbers=(lhs, rhs, out),
            precision=self.precision,
            preferred_element_type=self.dtype,
            **arguments,
        )


def sum_of_terms(counts: Sequence[int], term: Callable[[Sequence[Any]], jax.Array], in_a_loop: bool) -> jax.Array:
    """The sum of `term` over all indices below `counts`, which in a loop are known only when the program runs."""
    if not in_a_loop:
        return functools.reduce(lax.add, map(term, np.ndindex(*counts)))
    first = term([0] * len(counts))
    add = lambda number, total: total + term(jnp.unravel_index(number, tuple(counts)))  # noqa: E731
    return lax.fori_loop(1, math.prod(counts), add, first)


def strided_convolution(
    g: jax.Array, kernel: jax.Array, geometry: Geometry, sums: Sums, padding: Sequence[tuple[int, int]] = ()
) -> jax.Array:
    """The convolution K whose adjoint the transposed convolution is: the definition that all methods serve.

    `padding` stands in for the geometry's where it gives the same rows.
    """
    return sums.convolution(
        g,
        kernel,
        ("N*C", "*OI", "N*C"),
        window_strides=geometry.stride,
        padding=padding or list(zip(geometry.padding_low, geometry.padding_high, strict=True)),
        rhs_dilation=geometry.dilation,
        feature_group_count=geometry.groups,
    )


def channels_by_group(array: jax.Array, groups: int) -> jax.Array:
    """`(..., channels)` as `(..., group, channels of one group)`."""
    return array.reshape(*array.shape[:-1], groups, array.shape[-1] // groups)


def channels_together(array: jax.Array) -> jax.Array:
    """Undoes `channels_by_group`."""
    # Not reshape(..., -1): that has no answer where the batch is empty.
    return array.reshape(*array.shape[:-2], array.shape[-2] * array.shape[-1])


def kernel_by_group(kernel: jax.Array, groups: int) -> jax.Array:
    """`(*taps, in, out // groups)` as `(*taps, group, in // groups, out // groups)`."""
    *taps, c_in, c_out = kernel.shape
    return kernel.reshape(*taps, groups, c_in // groups, c_out)


def kernel_by_output_channel(kernel: jax.Array, groups: int) -> jax.Array:
    """`(*taps, in, out // groups)` as `(*taps, in // groups, out)`, lax's layout for the forward direction."""
    if groups == 1:
        return kernel
    *taps, c_in, c_out = kernel.shape
    return kernel_by_group(kernel, groups).swapaxes(-3, -2).reshape(*taps, c_in // groups, groups * c_out)


def over_groups(op: Op) -> Callable[[Form], Form]:
    """Decorates a method's ungrouped form of `op`, so that it takes any number of groups.

    The form sees the arrays of one group; its geometry still tells their number, for the size of what they hold in all.
    """

    def decorate(form: Form) -> Form:
        @functools.wraps(form)
        def apply(a: jax.Array, b: jax.Array, geometry: Geometry, *rest: Any, **options: Any) -> jax.Array:
            if geometry.groups == 1:
                return form(a, b, geometry, *rest, **options)
            mapped = (
                split_axis(array, grouped_axis(role), geometry.groups)
                for role, array in zip(OPERANDS[op], (a, b), strict=True)
            )
            result = jax.vmap(lambda a, b: form(a, b, geometry, *rest, **options))(*mapped)
            return join_axis(result, grouped_axis(RESULT[op]))

        return apply

    return decorate


def side_by_side(op: Op, form: Form) -> Form:
    """A method's form of `op`, applied to one group after the other."""

    def apply(a: jax.Array, b: jax.Array, geometry: Geometry, *rest: Any) -> jax.Array:
        if geometry.groups == 1:
            return form(a, b, geometry, *rest)
        split = (
            jnp.split(array, geometry.groups, grouped_axis(role))
            for role, array in zip(OPERANDS[op], (a, b), strict=True)
        )
        alone = geometry.with_groups(1)
        return jnp.concatenate(
            [form(u, v, alone, *rest) for u, v in zip(*split, strict=True)], grouped_axis(RESULT[op])
        )

    return apply


def join_axis(array: jax.Array, axis: int, groups: int = 1) -> jax.Array:
    """Moves the leading axis into `axis` (counted without it), inside each of the groups that this runs through."""
    size, *shape = array.shape
    axis %= len(shape)
    outer = (groups,) if groups > 1 else ()
    split = array.reshape(size, *shape[:axis], *outer, shape[axis] // groups, *shape[axis + 1 :])
    joined = (*shape[:axis], size * shape[axis], *shape[axis + 1 :])
    return jnp.moveaxis(split, 0, axis + len(outer)).reshape(joined)


def split_axis(array: jax.Array, axis: int, size: int, groups: int = 1) -> jax.Array:
    """Undoes `join_axis`: takes a leading axis of `size` out of `axis`."""
    shape = array.shape
    axis %= len(shape)
    outer = (groups,) if groups > 1 else ()
    inner = shape[axis] // (groups * size)
    split = array.reshape(*shape[:axis], *outer, size, inner, *shape[axis + 1 :])
    apart = (size, *shape[:axis], groups * inner, *shape[axis + 1 :])
    return jnp.moveaxis(split, axis + len(outer), 0).reshape(apart)
