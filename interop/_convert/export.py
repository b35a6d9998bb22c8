"""The arrays of a Flax model as a PyTorch state dict."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import numpy as np
from numpy.typing import NDArray

from .._layers.model import Layer, Place
from .matching import Options
from .naming import new_names

# BatchNorm's counter, which Flax does not keep: one for all layers, or a mapping by tensor name; None if not given.
Counters: TypeAlias = int | Mapping[str, Any] | None


def export(
    layers: list[Layer],
    arrays: Mapping[Place, Any],
    options: Options,
    num_batches_tracked: Counters,
) -> dict[str, NDArray[Any]]:
    """The state dict, in torch's names, layouts and order.

    Raises ValueError for a layer of no known type, and for arrays that have no values.
    """
    if options.match == "order":
        raise ValueError(
            'match="order" is about the state dict that was loaded: give that as like=, or leave match out'
        )
    problems = [f"{layer.path or 'the model itself'}: {layer.problem}" for layer in layers if layer.problem]
    if problems:
        raise ValueError("layers whose type has no rule cannot be exported:\n" + "\n".join(f"  {p}" for p in problems))
    tensors = {name: tensor for layer in layers for name, tensor in _tensors(layer, arrays).items()}
    result: dict[str, NDArray[Any]] = {}
    for name, new in new_names(tensors, options.rename).items():
        if new in result:
            raise ValueError("rename must keep names apart, but gives a tensor the name of another")
        if new is not None:
            counted = name.endswith("num_batches_tracked")
            result[new] = np.asarray(counter(new, num_batches_tracked), np.int64) if counted else tensors[name]
    return result


def _tensors(layer: Layer, arrays: Mapping[Place, Any]) -> dict[str, NDArray[Any]]:
    """A layer's tensors under the last spelling of each of its names, with zeros for those that Flax does not have."""
    converted = layer.type.to_torch({name: values(arrays[slot.place], slot.path) for name, slot in layer.slots.items()})
    converted |= {name: np.zeros((), np.int64) for name in layer.type.torch_only}
    named = [layer.names(name) for name in converted]
    return {
        names[place][-1]: tensor
        for place in range(len(layer.paths))
        for names, tensor in zip(named, converted.values(), strict=True)
    }


def counter(name: str, given: Counters) -> int:
    """BatchNorm's counter of that name."""
    if not isinstance(given, Mapping):
        return int(given or 0)
    if name not in given:
        raise ValueError(f"num_batches_tracked must be an int or have every BatchNorm's counter, but it lacks {name!r}")
    return int(given[name])


def values(array: Any, path: str) -> NDArray[Any]:
    """An array of the model as numpy has it; ValueError if it has a shape only."""
    if isinstance(array, jax.ShapeDtypeStruct):
        raise ValueError(f"the model has shapes but no values, at {path}; load a state dict first")
    return np.asarray(array)
