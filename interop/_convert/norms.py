"""Weight norm and spectral norm: the weight that their tensors stand for, as torch's modules compute it in evaluation.

It is computed in float64 and then rounded.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# As in torch.nn.utils.parametrizations.spectral_norm; needed here only for a vector, which is divided by its norm.
SPECTRAL_EPSILON = 1e-12


class SpectralShapeError(ValueError):
    """Vectors of a spectral norm that do not fit the weight."""


def weight_norm(g: Array, v: Array) -> Array:
    """`g * v / |v|`, the norm taken over the axes where `g` has size one, as torch's `_weight_norm` has it.

    There is no epsilon: a direction of zeros gives NaN, as it does in torch.
    """
    direction = v.astype(np.float64)
    axes = tuple(axis for axis in range(v.ndim) if g.ndim == 0 or g.shape[axis] == 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        norm = np.sqrt(np.sum(direction**2, axis=axes, keepdims=True))
        return (direction * (g.astype(np.float64) / norm)).astype(v.dtype)


def spectral_norm(weight: Array, u: Array | None = None, v: Array | None = None, *, axis: int = 0) -> Array:
    """`weight / (u^T M v)`, with `M` the weight as a matrix whose rows run along `axis`, as torch evaluates it.

    If the vectors fit only one other axis, that one is taken; SpectralShapeError if they fit several others.
    """
    matrix = weight.astype(np.float64)
    if u is None or v is None:
        return (matrix / max(float(np.sqrt(np.sum(matrix**2))), SPECTRAL_EPSILON)).astype(weight.dtype)
    axes = _spectral_axes(weight.shape, u.size, v.size)
    if axis not in axes:
        if len(axes) > 1:
            raise SpectralShapeError(f"spectral norm's vectors fit axes {axes} of the weight of shape {weight.shape}")
        axis = axes[0]
    rows = np.moveaxis(matrix, axis, 0).reshape(u.size, v.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (matrix / (u.astype(np.float64) @ rows @ v.astype(np.float64))).astype(weight.dtype)


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


def _spectral_axes(shape: tuple[int, ...], rows: int, columns: int) -> list[int]:
    """The axes of the weight that the two vectors allow for the rows of the matrix."""
    return [axis for axis, n in enumerate(shape) if n == rows and math.prod(shape) == rows * columns]
