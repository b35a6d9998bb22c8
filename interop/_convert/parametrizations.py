"""Weight norm and spectral norm: the tensors that torch keeps for them, folded into the weight that they stand for.

Both of torch's forms are known: the old one, which adds a suffix to the weight's name, and the new one, which moves it
into `parametrizations`. What is computed is what torch's modules compute in evaluation mode, in float64, then rounded.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# torch.nn.utils.parametrizations.spectral_norm; only a vector, which it divides by its norm, needs it here.
SPECTRAL_EPSILON = 1e-12
_UNKNOWN = "a parametrization other than weight norm and spectral norm: remove it in torch before saving"
_FIELD = "parametrizations"


class SpectralShapeError(ValueError):
    """Vectors of a spectral norm that do not fit the weight."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A tensor as conversion takes it: one of the checkpoint's, or folded from several.

    Attributes:
      name: what the model would call it.
      parts: what the checkpoint calls the tensors it is made from.
      how: how it is made from them, in words; empty for a tensor as it is.
      load: the tensor; takes the axis that a spectral norm has, by the type of the layer, for the rows of its matrix.
    """

    name: str
    parts: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    how: str
    load: Callable[[int], Array]


def fold(
    tensors: Mapping[str, Array], origin: Mapping[str, str], wanted: Collection[str]
) -> tuple[dict[str, Source], dict[str, str]]:
    """The tensors by name, parametrizations folded, and for those that look like one and are none, what is wrong.

    `origin` has the checkpoint's own name for each. Tensors that the model has under these very names (`wanted`) stay.
    """
    folded: dict[str, Source] = {}
    firsts: dict[str, str] = {}
    used: set[str] = set()
    hints: dict[str, str] = {}
    for name in tensors:
        found = _found(name, tensors)
        if found is None:
            continue
        new, parts, kind = found
        if any(part in wanted for part in parts):
            continue
        problem = f"{new} is there as well" if new in tensors else _misfit(kind, [tensors[part] for part in parts])
        if problem:
            hints |= dict.fromkeys(parts, f"not folded: {problem}")
            continue
        arrays = [tensors[part] for part in parts]
        direction = arrays[1] if kind == "weight norm" else arrays[0]
        folded[new] = Source(
            new, tuple(origin[part] for part in parts), direction.shape, direction.dtype, kind, _maker(kind, arrays)
        )
        firsts[new] = name
        used.update(parts)
    for name in tensors:
        if name not in used and name not in hints and name not in wanted and _looks_parametrized(name):
            hints[name] = _UNKNOWN if f".{_FIELD}." in f".{name}" else _lonely(name)
    plain = {
        name: Source(name, (origin[name],), tensor.shape, tensor.dtype, "", _as_it_is(tensor))
        for name, tensor in tensors.items()
        if name not in used
    }
    # In the order of the checkpoint, which match="order" reads.
    place = {name: n for n, name in enumerate(tensors)}
    place |= {new: place[first] for new, first in firsts.items()}
    return dict(sorted((plain | folded).items(), key=lambda item: place[item[0]])), hints


def _found(name: str, tensors: Mapping[str, Array]) -> tuple[str, list[str], str] | None:
    """The folded name, the tensors and the kind of the parametrization that `name` is the first tensor of."""
    head, _, last = name.rpartition(".")
    if last in ("original0", "original1", "original"):
        parent, _, parameter = head.rpartition(".")
        outer = parent.removesuffix(_FIELD)
        if (outer and not outer.endswith(".")) or outer == parent or f"{head}.1._u" in tensors:
            return None
        if last == "original0" and f"{head}.original1" in tensors:
            return outer + parameter, [name, f"{head}.original1"], "weight norm"
        vectors = [f"{head}.0._u", f"{head}.0._v"]
        if last == "original" and all(vector in tensors for vector in vectors):
            return outer + parameter, [name, *vectors], "spectral norm"
        alone = not any(other.startswith(f"{head}.") and other != name for other in tensors)
        if last == "original" and alone and tensors[name].ndim == 1:
            return outer + parameter, [name], "spectral norm"
        return None
    if name.endswith("_g") and name[:-2] + "_v" in tensors and name[:-2] + "_orig" not in tensors:
        return name[:-2], [name, name[:-2] + "_v"], "weight norm"
    base = name.removesuffix("_orig")
    if base != name and f"{base}_u" in tensors and f"{base}_v" in tensors and f"{base}_g" not in tensors:
        return base, [name, f"{base}_u", f"{base}_v"], "spectral norm"
    return None


def _looks_parametrized(name: str) -> bool:
    return f".{_FIELD}." in f".{name}" or name.rpartition(".")[2] in (
        "weight_g",
        "weight_v",
        "weight_orig",
        "weight_u",
    )


def _lonely(name: str) -> str:
    base = name.rpartition("_")[0]
    return f"half of a parametrization: weight norm has {base}_g and {base}_v, spectral norm {base}_orig, _u and _v"


def _misfit(kind: str, arrays: list[Array]) -> str:
    if kind == "weight norm":
        g, v = arrays
        fits = g.ndim == 0 or (g.ndim == v.ndim and all(a in (1, b) for a, b in zip(g.shape, v.shape, strict=True)))
        return "" if fits else f"weight norm's magnitude has shape {g.shape}, its direction {v.shape}"
    if len(arrays) == 1:
        return ""
    weight, u, v = arrays
    fits = u.ndim == v.ndim == 1 and bool(_spectral_axes(weight.shape, u.size, v.size))
    return "" if fits else f"spectral norm's vectors have shapes {u.shape} and {v.shape}, its weight {weight.shape}"


def _spectral_axes(shape: tuple[int, ...], rows: int, columns: int) -> list[int]:
    """The axes of the weight that the two vectors allow for the rows of the matrix."""
    return [axis for axis, n in enumerate(shape) if n == rows and math.prod(shape) == rows * columns]


def _as_it_is(tensor: Array) -> Callable[[int], Array]:
    return lambda axis: tensor


def _maker(kind: str, arrays: list[Array]) -> Callable[[int], Array]:
    if kind == "weight norm":
        return lambda axis: weight_norm(*arrays)
    return lambda axis: spectral_norm(*arrays, axis=axis)


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

    Where the vectors fit one other axis alone, that one is taken; SpectralShapeError where they fit several others.
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
