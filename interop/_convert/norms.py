"""Weight norm and spectral norm: the weight that their tensors stand for, as torch's modules compute it in evaluation.

It is computed in float64 and then rounded. `unfold` goes the other way: tensors that stand for a new weight.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# As in torch.nn.utils.parametrizations.spectral_norm; needed here only for a vector, which is divided by its norm.
SPECTRAL_EPSILON = 1e-12
# How close a weight comes to the new one, relatively, when it is folded from the tensors that `unfold` makes. Each of
# these is rounded once, by 6e-8 in float32.
UNFOLDED = 1e-6


class SpectralShapeError(ValueError):
    """Vectors of a spectral norm that do not fit the weight."""


class UnfoldError(ValueError):
    """A weight that a norm's tensors cannot stand for."""


def weight_norm(g: Array, v: Array) -> Array:
    """`g * v / |v|`, the norm taken over the axes where `g` has size one, as torch's `_weight_norm` has it.

    There is no epsilon: a direction of zeros gives NaN, as it does in torch.
    """
    direction = _exact(v)
    with np.errstate(invalid="ignore", divide="ignore"):
        norm = np.sqrt(np.sum(direction**2, axis=_norm_axes(g, v), keepdims=True))
        return (direction * (_exact(g) / norm)).astype(v.dtype)


def spectral_norm(weight: Array, u: Array | None = None, v: Array | None = None, *, axis: int = 0) -> Array:
    """`weight / (u^T M v)`, with `M` the weight as a matrix whose rows run along `axis`, as torch evaluates it.

    If the vectors fit only one other axis, that one is taken; SpectralShapeError if they fit several others.
    """
    matrix = _exact(weight)
    if u is None or v is None:
        return (matrix / _length(matrix)).astype(weight.dtype)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (matrix / (_exact(u) @ _matrix(matrix, u, v, axis) @ _exact(v))).astype(weight.dtype)


def unfold(kind: str, parts: list[Array], weight: Array, axis: int) -> list[Array]:
    """Tensors of a norm that stand for this weight, to one part in a million: in float32, or in float64 if any is.

    `parts` are the tensors that stood for another weight of that shape; what can be kept of them is. A weight norm's
    direction is the weight itself, as it is when torch adds the norm. A spectral norm keeps `u` and the size of its
    matrix; `v` takes one step of the power iteration, and a length with which the quotient is the new weight.

    Raises UnfoldError if there are none, such as for zeros under a spectral norm, which always makes a norm of one.
    """
    choices = _weight_norms if kind == "weight norm" else _spectral_norms
    folded: Callable[..., Array] = weight_norm if kind == "weight norm" else lambda *p: spectral_norm(*p, axis=axis)
    with np.errstate(all="ignore"):
        for choice in choices(parts, weight, axis):
            rounded = [new.astype(_dtype(old, weight)) for new, old in zip(choice, parts, strict=True)]
            if np.allclose(folded(*map(_exact, rounded)), _exact(weight), rtol=UNFOLDED, atol=0, equal_nan=True):
                return rounded
    raise UnfoldError(f"a {kind} cannot stand for the new weight of shape {weight.shape}")


def misfit(kind: str, arrays: list[Array]) -> str:
    """What is wrong with the shapes of a norm's tensors; empty if they fit each other."""
    if len(arrays) == 1:
        return ""
    if kind == "weight norm":
        g, v = arrays
        fits = g.ndim == 0 or (g.ndim == v.ndim and all(a in (1, b) for a, b in zip(g.shape, v.shape, strict=True)))
        return "" if fits else f"weight norm's magnitude has shape {g.shape}, its direction {v.shape}"
    weight, u, v = arrays
    fits = u.ndim == v.ndim == 1 and bool(_spectral_axes(weight.shape, u.size, v.size))
    return "" if fits else f"spectral norm's vectors have shapes {u.shape} and {v.shape}, its weight {weight.shape}"


def _weight_norms(parts: list[Array], weight: Array, axis: int) -> Iterator[list[Array]]:
    """The magnitude and the direction of a weight."""
    g, old = parts
    v = _exact(weight)
    norm = np.sqrt(np.sum(v**2, axis=_norm_axes(g, old), keepdims=True))
    # Zeros have no direction: any will do, but not zeros.
    yield [norm.reshape(g.shape), np.where(norm == 0, 1, v)]


def _spectral_norms(parts: list[Array], weight: Array, axis: int) -> Iterator[list[Array]]:
    """A matrix and its two vectors, those that keep more of the old ones first; of a vector only the matrix."""
    matrix = _exact(weight)
    if len(parts) == 1:
        yield [matrix * _length(_exact(parts[0]))]
        return
    old, u, v = map(_exact, parts)
    rows, before = _matrix(matrix, u, v, axis), _matrix(old, u, v, axis)
    size = u @ before @ v
    scaled = matrix * (size if np.isfinite(size) and size else 1.0)
    yield [scaled, u, v]
    longest = np.zeros_like(u)
    longest[np.argmax(np.sum(rows**2, axis=1))] = 1
    for left in (u, longest):
        right = left @ rows
        # All terms of this product have one sign, so that no rounding is magnified: left @ rows @ right is 1.
        yield [scaled, left, right / np.sum(right**2)]


def _exact(array: Array) -> Array:
    """In float64, and in one order of the memory, so that equal values have equal sums."""
    return array.astype(np.float64, order="C")


def _dtype(part: Array, weight: Array) -> np.dtype[Any]:
    """What a tensor is rounded to: the magnitude of a float16 weight is no float16."""
    return np.result_type(part.dtype, weight.dtype, np.float32)


def _length(vector: Array) -> float:
    return max(float(np.sqrt(np.sum(vector**2))), SPECTRAL_EPSILON)


def _norm_axes(g: Array, v: Array) -> tuple[int, ...]:
    """The axes over which a weight norm takes the norm."""
    return tuple(axis for axis in range(v.ndim) if g.ndim == 0 or g.shape[axis] == 1)


def _matrix(weight: Array, u: Array, v: Array, axis: int) -> Array:
    """The weight as the matrix whose norm it is, with rows along `axis`, or along the only one that the vectors fit."""
    axes = _spectral_axes(weight.shape, u.size, v.size)
    if axis not in axes:
        if len(axes) > 1:
            raise SpectralShapeError(f"spectral norm's vectors fit axes {axes} of the weight of shape {weight.shape}")
        axis = axes[0]
    return np.moveaxis(weight, axis, 0).reshape(u.size, v.size)


def _spectral_axes(shape: tuple[int, ...], rows: int, columns: int) -> list[int]:
    """The axes of the weight that the two vectors allow for the rows of the matrix."""
    return [axis for axis, n in enumerate(shape) if n == rows and math.prod(shape) == rows * columns]
