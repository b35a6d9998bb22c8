"""How one type of layer keeps its arrays in PyTorch and in Flax, and the conversion between the two, either way.

A layout is written as in einops: `Parameter("weight", "kernel", "o i ...", "... i o")` says that torch's `weight` has
the output channels first, then the input channels, then the spatial axes, and Flax's `kernel` has them in the other
order. Converting is one `einops.rearrange`; converting back is the same with the two sides exchanged.
"""

import dataclasses
import itertools
import re
from collections.abc import Mapping
from typing import Any

import einops
import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
NO_SIZES: Mapping[str, int] = {}


class InexpressibleError(ValueError):
    """Values that the Flax layer has no place for."""


class UnsupportedLayerError(ValueError):
    """A Flax layer that has no twin in PyTorch as it is set up."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One array of a Flax layer, and the torch tensor that fills it.

    Attributes:
      torch_name, flax_name: their names within the layer; a dot leads into a layer within it.
      torch_axes, flax_axes: their layouts, in the notation of einops.
      part: which of how many equal parts of the torch tensor's first axis: torch stacks gates and projections.
      added: another torch tensor of that layout, whose same part is added: torch has two biases where Flax has one.
      without: the part of `added` that Flax has no place for, and that must be zero.
      instead: the layer to use where it is not.
      free: whether torch may have the axes in another order, which only the caller knows.
      reverse: whether Flax keeps the spatial axes, the first ones of its array, backwards.
      sizes: the sizes of axes that follow from neither shape.
    """

    torch_name: str
    flax_name: str
    torch_axes: str
    flax_axes: str
    part: tuple[int, int] = (0, 1)
    added: str | None = None
    without: tuple[int, int] | None = None
    instead: str = ""
    free: bool = False
    reverse: bool = False
    sizes: Mapping[str, int] = dataclasses.field(default_factory=lambda: NO_SIZES)

    @property
    def torch_names(self) -> tuple[str, ...]:
        """The torch tensors that the array is made from."""
        return (self.torch_name,) if self.added is None else (self.torch_name, self.added)

    @property
    def rule(self) -> str:
        """The conversion in words, for a report."""
        words = [] if self.torch_axes == self.flax_axes else [f"{self.torch_axes} -> {self.flax_axes}"]
        if self.part[1] > 1:
            words.insert(0, f"part {self.part[0] + 1} of {self.part[1]}")
        if self.free:
            words.append("axes in PyTorch's order; layouts= says otherwise")
        if self.reverse:
            words.append("reversed")
        return ", ".join(words)

    def torch_shape(self, flax_shape: Shape) -> Shape:
        """The shape of the whole torch tensor for a Flax array of this shape."""
        try:
            shape = self._as_torch(np.broadcast_to(np.int8(0), flax_shape)).shape
        except einops.EinopsError:
            if self.sizes:
                product = " * ".join(map(str, self.sizes.values()))
                problem = f"{product} is not {flax_shape[0]}: flatten must give as many values as it has inputs"
            else:
                problem = f"its {self.flax_name} has shape {flax_shape}, not the axes {self.flax_axes!r}"
            raise UnsupportedLayerError(problem) from None
        # torch stacks the parts along the first axis, of which a lone number has none.
        return (shape[0] * self.part[1], *shape[1:]) if shape else ()

    def to_flax(self, tensors: Mapping[str, NDArray[Any]], flax_shape: Shape) -> NDArray[Any]:
        """`as_flax`, C-contiguous: safetensors writes the bytes of any other array in the wrong order."""
        return np.asarray(self.as_flax(tensors, flax_shape), order="C")

    def as_flax(self, tensors: Mapping[str, NDArray[Any]], flax_shape: Shape) -> NDArray[Any]:
        """The Flax array from torch tensors by name, as a view of them where there is one.

        Raises InexpressibleError if a value would be lost.
        """
        tensor = _part(tensors[self.torch_name], self.part)
        if self.added is not None:
            other = tensors[self.added]
            if self.without is not None and np.any(_part(other, self.without)):
                index, count = self.without
                raise InexpressibleError(
                    f"part {index + 1} of {count} of {self.added} is not zero, and this Flax layer has no place for it;"
                    f" {self.instead} has"
                )
            tensor = tensor + _part(other, self.part)
        array = einops.rearrange(tensor, f"{self.torch_axes} -> {self.flax_axes}", **self._sizes(flax_shape))
        return self._turned(array)

    def to_torch(self, array: NDArray[Any]) -> NDArray[Any]:
        """The part of the torch tensor that a Flax array makes."""
        return np.asarray(self._as_torch(array), order="C")

    def _as_torch(self, array: NDArray[Any]) -> NDArray[Any]:
        """`to_torch` as a view, where there is one."""
        return einops.rearrange(self._turned(array), f"{self.flax_axes} -> {self.torch_axes}", **self.sizes)

    def _turned(self, array: NDArray[Any]) -> NDArray[Any]:
        return np.flip(array, tuple(range(array.ndim - 2))) if self.reverse else array

    def _sizes(self, flax_shape: Shape) -> Mapping[str, int]:
        """The sizes of the axes that torch joins into one."""
        joined = " ".join(re.findall(r"\((.*?)\)", self.torch_axes)).split()
        if self.sizes or not joined:
            return self.sizes
        axes = zip(self.flax_axes.split(), flax_shape, strict=True)
        return {axis: size for axis, size in axes if axis in joined}


@dataclasses.dataclass(frozen=True)
class LayerType:
    """The arrays of one type of layer.

    Attributes:
      name: what to call it.
      parameters: the arrays, in the order in which torch lists its tensors.
      torch_only: names that PyTorch keeps for it and Flax has no use for.
      spectral_axis: which axis of the weight torch's spectral norm takes for the rows of a matrix.
      hint: what to do if a tensor has a shape that the Flax layer cannot have; `{arrays}` stands for the pattern of the
        names of its arrays.
    """

    name: str
    parameters: tuple[Parameter, ...]
    torch_only: tuple[str, ...] = ()
    spectral_axis: int = 0
    hint: str = ""

    @property
    def torch_names(self) -> tuple[str, ...]:
        """The tensors that torch keeps for it, in torch's order."""
        return tuple(dict.fromkeys(itertools.chain(*(parameter.torch_names for parameter in self.parameters))))

    def laid_out(self, rules: Mapping[str, tuple[str, str] | None], pattern: str) -> "LayerType":
        """The type of one layer, whose arrays' names fit `pattern`, with what the caller says of their layouts."""
        given = {name: rule for name, rule in rules.items() if rule is not None}
        parameters = []
        for parameter in self.parameters:
            rule = given.get(parameter.flax_name)
            if rule is None:
                parameters.append(parameter)
                continue
            if not parameter.free:
                raise UnsupportedLayerError(
                    f"layouts is for arrays of your own modules and for norms over several axes, but this is a "
                    f"{self.name}, whose {parameter.flax_name} PyTorch lays out as {parameter.torch_axes!r}"
                )
            torch_axes, flax_axes = rule
            parameters.append(dataclasses.replace(parameter, torch_axes=torch_axes, flax_axes=flax_axes, free=False))
        hint = self.hint.replace("{arrays}", pattern)
        return dataclasses.replace(self, parameters=tuple(parameters), hint=hint) if given or hint else self

    def to_torch(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The torch tensors of a layer with these Flax arrays. One that was added to another comes back as zeros."""
        parts: dict[str, dict[tuple[int, int], NDArray[Any]]] = {name: {} for name in self.torch_names}
        present = [parameter for parameter in self.parameters if parameter.flax_name in arrays]
        for parameter in present:
            part = parameter.to_torch(arrays[parameter.flax_name])
            parts[parameter.torch_name][parameter.part] = part
            if parameter.added is not None:
                parts[parameter.added].setdefault(parameter.part, np.zeros_like(part))
        return {name: _joined([found[key] for key in sorted(found)]) for name, found in parts.items() if found}


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """The parts in memory of their own, a lone number too, which has no axis to join along."""
    return np.concatenate(parts) if parts[0].ndim else parts[0].copy()


def _part(tensor: NDArray[Any], part: tuple[int, int]) -> NDArray[Any]:
    """One of so many equal parts of a tensor's first axis."""
    index, count = part
    return np.split(tensor, count)[index] if count > 1 else tensor
