"""How each layer type's parameters are laid out in PyTorch and in Flax: the table that conversion reads.

A layout is a string with a letter an axis: `o` output channels, `i` input channels (of one group, or of all, as the
framework has it), `c` channels, and `*` for all the spatial axes. Converting is reordering letters, either way.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One array of a layer: its name and layout on both sides."""

    torch_name: str
    flax_name: str
    torch_axes: str
    flax_axes: str


@dataclasses.dataclass(frozen=True)
class LayerType:
    """The arrays of one type of layer, and the names that PyTorch keeps for it and Flax has no use for."""

    parameters: tuple[Parameter, ...]
    torch_only: tuple[str, ...] = ()


_BIAS = Parameter("bias", "bias", "c", "c")

CONV_TRANSPOSE = LayerType((Parameter("weight", "kernel", "io*", "*io"), _BIAS))
CONV = LayerType((Parameter("weight", "kernel", "oi*", "*io"), _BIAS))
LINEAR = LayerType((Parameter("weight", "kernel", "oi", "io"), _BIAS))
BATCH_NORM = LayerType(
    (
        Parameter("weight", "scale", "c", "c"),
        _BIAS,
        Parameter("running_mean", "mean", "c", "c"),
        Parameter("running_var", "var", "c", "c"),
    ),
    torch_only=("num_batches_tracked",),
)


def reorder(array: NDArray[Any], axes: str, wanted: str) -> NDArray[Any]:
    """`array`, laid out as `axes`, laid out as `wanted`, C-contiguous.

    Raises ValueError if the array has not the axes that the layout names.
    """
    order = _order(array.ndim, axes, wanted)
    # safetensors writes the bytes of an array that is not C-contiguous in the wrong order.
    return np.ascontiguousarray(array.transpose(order))


def reordered_shape(shape: tuple[int, ...], axes: str, wanted: str) -> tuple[int, ...]:
    """The shape that `reorder` gives an array of `shape`."""
    return tuple(shape[axis] for axis in _order(len(shape), axes, wanted))


def _order(rank: int, axes: str, wanted: str) -> list[int]:
    n_spatial = rank - len(axes.replace("*", ""))
    if n_spatial < 0 or (n_spatial > 0) != ("*" in axes):
        raise ValueError(f"an array of rank {rank} has not the axes {axes!r}")
    spatial = "".join(chr(ord("A") + n) for n in range(n_spatial))
    given = axes.replace("*", spatial)
    return [given.index(letter) for letter in wanted.replace("*", spatial)]
