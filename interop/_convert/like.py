"""The arrays of a Flax model in the form of the state dict that it was loaded from.

What loading that state dict would give is compared, value by value, with what the model has. Where they are equal, its
own tensors come back as they are; elsewhere they are made anew, in the same form.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._layers.layouts import Parameter
from .._layers.model import Layer, Place
from .._tensors import to_numpy
from .._text import printable
from .export import Counters, counter, values
from .matching import Options, make_plan
from .norms import UnfoldError, unfold
from .plan import Filling
from .sources import Source

Array = NDArray[Any]


def export_like(
    layers: list[Layer],
    arrays: Mapping[Place, Any],
    like: Mapping[str, Any],
    options: Options,
    num_batches_tracked: Counters,
    *,
    ordered: Callable[[], bool] = lambda: True,
) -> dict[str, Array]:
    """The state dict, in the names and the order of `like`; `options` and `ordered` are those of loading it.

    Raises ValueError if it does not fit the model, or if a norm in it cannot stand for the model's weight.
    """
    if not isinstance(like, Mapping):
        raise TypeError(
            f"like must be a mapping of names to tensors, the state dict that was loaded, got {type(like).__name__}; "
            "a file is read with jax_tconv.interop.read"
        )
    plan = make_plan(layers, like, options, ordered=ordered)
    if not plan.report.ok:
        raise ValueError(
            "like must be the state dict that the model was loaded from, with rename, match, flatten and layouts as "
            f"they were then, but it does not fit the model\n{plan.report.faults()}"
        )
    given = {str(name): to_numpy(str(name), tensor) for name, tensor in like.items()}
    changed: dict[str, Array] = {}
    problems = []
    for layer in layers:
        for torch_name, tensor in _changed(layer, plan.sources, arrays).items():
            for source in _sources(layer, torch_name, plan.sources):
                try:
                    changed |= _in_parts(source, [given[part] for part in source.parts], tensor, layer)
                except UnfoldError as error:
                    problems.append(printable(f"  {' + '.join(source.parts)}: {error}"))
    if problems:
        raise ValueError(
            "like has norms that cannot stand for the model's weights: leave like out, which gives plain weights\n"
            + "\n".join(problems)
        )
    if num_batches_tracked is not None:
        counted = [name for name in given if name.endswith("num_batches_tracked")]
        changed |= {name: np.full_like(given[name], counter(name, num_batches_tracked)) for name in counted}
    # Copies: a torch module's own state dict goes on changing with the module.
    return {name: np.array(changed.get(name, tensor), order="C") for name, tensor in given.items()}


def _sources(layer: Layer, torch_name: str, sources: Mapping[str, Source]) -> list[Source]:
    """The state dict's tensors of that name, one for each place that shares the layer."""
    return [sources[name] for name in layer.names_in(torch_name, sources)]


def _changed(layer: Layer, sources: Mapping[str, Source], arrays: Mapping[Place, Any]) -> dict[str, Array]:
    """The torch tensors of a layer, norms folded, that are no longer what the state dict has, by their names within it.

    Torch stacks what Flax keeps in several arrays: of a tensor that changed, what did not change keeps its values.
    """
    tensors: dict[str, Array] = {}
    for parameter, slot in layer.parameters():
        first = {name: _sources(layer, name, sources)[0] for name in parameter.torch_names}
        array = values(arrays[slot.place], slot.path)
        loaded = Filling(layer, parameter, slot, first).value().astype(array.dtype, copy=False)
        if (same := _same_bits(array, loaded)).all():
            continue
        for name, source in first.items():
            if name not in tensors:
                tensors[name] = source.load(layer.type.spectral_axis)
        old = [tensors[name][_part(tensors[name], parameter)] for name in first]
        for name, before, now in zip(first, old, _split(parameter.to_torch(array), old), strict=True):
            value = np.where(parameter.to_torch(same), before, now)
            tensors[name] = _with_part(tensors[name], parameter, value)
    return tensors


def _split(new: Array, old: list[Array]) -> list[Array]:
    """The tensors that are added up to this one: a change goes into the first.

    Where rounding would make the sum another one, the first has the sum and the second is zero.
    """
    if len(old) == 1:
        return [new]
    before, second = old
    wide = np.result_type(new, before, second, np.float32)  # in which a conversion adds them
    with np.errstate(all="ignore"):
        first = new.astype(wide) - second
        exact = (first + second).astype(new.dtype) == new
    return [np.where(exact, first, new), np.where(exact, second, np.zeros_like(second))]


def _in_parts(source: Source, originals: list[Array], tensor: Array, layer: Layer) -> dict[str, Array]:
    """The state dict's tensors that make this one, in the dtypes that they had if these hold the values."""
    parts = unfold(source.how, originals, tensor, layer.type.spectral_axis) if source.how else [tensor]
    return {
        name: _narrowed(part, original.dtype)
        for name, part, original in zip(source.parts, parts, originals, strict=True)
    }


def _narrowed(array: Array, dtype: np.dtype[Any]) -> Array:
    """The array in this dtype if that holds all its values, and as it is if not."""
    with np.errstate(all="ignore"):
        narrow = array.astype(dtype)
        return narrow if _same_bits(narrow.astype(array.dtype), array).all() else array


def _part(tensor: Array, parameter: Parameter) -> Any:
    """The index of the parameter's part of a torch tensor."""
    index, count = parameter.part
    size = len(tensor) // count if count > 1 else 0
    return slice(index * size, (index + 1) * size) if count > 1 else ...


def _with_part(tensor: Array, parameter: Parameter, part: Array) -> Array:
    result = tensor.astype(np.result_type(tensor, part))
    result[_part(tensor, parameter)] = part
    return result


def _same_bits(a: Array, b: Array) -> NDArray[np.bool_]:
    """Where two arrays of one dtype have the same bits: NaN equals itself, and zero differs from minus zero."""
    words = np.dtype(f"u{min(a.dtype.itemsize, 8)}")
    bits = [np.asarray(x, order="C").reshape(-1, 1).view(words) for x in (a, b)]
    return np.asarray((bits[0] == bits[1]).all(axis=-1).reshape(a.shape))
