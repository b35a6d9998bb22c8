"""The tensors of a state dict as a conversion takes them: under the model's names, with weight norm and such folded."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .report import Row

Array = NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Source:
    """A tensor: one of the state dict's, or folded from several.

    Attributes:
      name: what the model would call it.
      parts: what the state dict calls the tensors it is made from.
      how: how it is made from them, in words; empty for a tensor as it is.
      load: returns the tensor. Its argument is the axis of the weight that a spectral norm takes as the rows of its
        matrix, which follows from the layer's type.
    """

    name: str
    parts: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    how: str
    load: Callable[[int], Array]

    @classmethod
    def plain(cls, name: str, origin: str, tensor: Array) -> "Source":
        """A tensor of the state dict as it is; `origin` is its name there."""
        return cls(name, (origin,), tensor.shape, tensor.dtype, "", lambda axis: tensor)

    def row(self, status: str, note: str = "", **target: Any) -> Row:
        """What the report says of it; `target` has Row's fields about the array that it could fill."""
        target |= {"source_shape": tuple(self.shape), "source_dtype": str(self.dtype)}
        return Row(status, self.name, self.parts, exact=not self.how, note=note, **target)

    def equals(self, other: "Source", axis: int) -> bool:
        """Whether both have the same values, NaN included."""
        floating = other.dtype.kind in "fc"
        return self.shape == other.shape and np.array_equal(self.load(axis), other.load(axis), equal_nan=floating)
