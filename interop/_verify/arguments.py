"""The arguments of paired layers: what PyTorch's layer asks for in Flax's terms, next to what the Flax layer has.

What a torch layer asks for is what `from_torch` builds of it, so that each class is described once.
"""

import contextlib
import functools
import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import torch
from flax import linen as nn
from flax import nnx

from .._from_torch.forms import FEATURES_LAST, MAPS, Site
from .._from_torch.twins import TWINS
from .padding import per_axis, rows
from .runs import Layer, Run
from .verification import ArgumentDifference

# Flax's names of what shows in evaluation, of functions and of layers, and of what shows in training alone.
OF_FUNCTIONS = ("negative_slope", "alpha", "approximate", "axis", "beta", "threshold", "min", "max")
OF_CONVOLUTIONS = ("strides", "padding", "kernel_dilation", "feature_group_count")
OF_LAYERS = (*OF_CONVOLUTIONS, "epsilon", "num_groups", "num_heads", "reduction_axes", "feature_axes")
IN_TRAINING = ("momentum", "rate", "dropout_rate")
Shape = tuple[int, ...]


def torch_words(layer: Layer) -> str:
    """A torch layer with its arguments; of one that holds others, its class."""
    return type(layer.module).__name__ if layer.module._modules else repr(layer.module)


def flax_words(layer: Layer) -> str:
    """A Flax layer with those of its arguments that are compared."""
    shown = ", ".join(f"{name}={value!r}" for name, value in _arguments(layer.module).items())
    return f"{type(layer.module).__name__}({shown})"


def compare_arguments(name: str, theirs: Layer, ours: Layer) -> Iterator[ArgumentDifference]:
    """The arguments that the twin of PyTorch's layer and the Flax layer both have, and that mean different things."""
    given = next((call.given.value for call in ours.calls if call.given is not None), None)
    yield from _differences(name, _twin(theirs), ours.module, () if given is None else given.shape)


def compare_functions(theirs: Run, ours: Run) -> Iterator[ArgumentDifference]:
    """The same for the functions in Flax's Sequentials, which have the numbers of PyTorch's layers."""
    named = {name: layer for layer in theirs.layers.values() for name in layer.names}
    for layer in ours.layers.values():
        items = layer.module.layers if isinstance(layer.module, nn.Sequential | nnx.Sequential) else ()
        places = ((f"{name}.{n}" if name else str(n), item) for name in layer.names for n, item in enumerate(items))
        for name, item in places:
            twin = _twin(named[name]) if name in named else None
            # A function of another name is judged by its values.
            if inspect.isroutine(_function(item)) and _function(item) is _function(twin):
                yield from _differences(name, twin, item, ())


def _differences(name: str, twin: Any, item: Any, shape: Shape) -> Iterator[ArgumentDifference]:
    expected, actual = _arguments(twin), _arguments(item)
    for argument in [each for each in expected if each in actual]:
        values = expected[argument], actual[argument]
        asked, has = (_meaning(*side, argument, shape) for side in zip((twin, item), values, strict=True))
        if isinstance(asked, float) and isinstance(has, int | float):
            same = math.isclose(asked, has, rel_tol=1e-6)
        else:
            same = asked == has
        if not same:
            yield ArgumentDifference(name, argument, *values, "warning" if argument in IN_TRAINING else "error")


def _meaning(item: Any, value: Any, name: str, shape: Shape) -> Any:
    """An argument's value in a form that is the same for all that mean the same, for inputs of this shape."""
    if name in ("strides", "kernel_dilation", "padding"):
        kernel = (item.kernel_size,) if isinstance(item.kernel_size, int) else tuple(item.kernel_size)
        strides = per_axis(item.strides, len(kernel))
        if name == "padding":
            # Two paddings can be the same at one size of the input and differ at the next.
            sizes = shape[-1 - len(kernel) : -1]
            return [rows(item, value, tuple(size + more for size in sizes)) for more in range(max(strides))]
        axes = zip(per_axis(value, len(kernel)), kernel, strict=True)
        return strides if name == "strides" else [dilation for dilation, size in axes if size > 1]
    if name in ("reduction_axes", "feature_axes") and shape:
        return sorted(axis % len(shape) for axis in (value if isinstance(value, tuple | list) else (value,)))
    return value


def _arguments(item: Any) -> dict[str, Any]:
    """Those arguments of a function or a layer that are compared, as they were given."""
    if not isinstance(item, nn.Module | nnx.Module):
        return {name: value for name, value in _keywords(item).items() if name in OF_FUNCTIONS}
    names = [name for name in (*OF_FUNCTIONS, *OF_LAYERS, *IN_TRAINING) if getattr(item, name, None) is not None]
    if isinstance(item, nn.BatchNorm | nnx.BatchNorm | nn.DenseGeneral | nnx.LinearGeneral):
        names.remove("axis")  # it says where the channels are, which the values show
    return {name: value for name in names if not hasattr(value := getattr(item, name), "shape")}


def _function(item: Any) -> Any:
    return item.func if isinstance(item, functools.partial) else item


def _keywords(item: Any) -> Mapping[str, Any]:
    """What a function is called with besides its inputs: its own defaults, and what a partial has set."""
    if item is None:
        return {}
    with contextlib.suppress(TypeError, ValueError):
        parameters = inspect.signature(_function(item)).parameters
        defaults = {name: one.default for name, one in parameters.items() if one.default is not inspect.Parameter.empty}
        return defaults | (item.keywords if isinstance(item, functools.partial) else {})
    return {}


_TWINS: dict[str, Any] = {}


def _twin(layer: Layer) -> Any:
    """What `from_torch` makes of a torch layer, without values; None for what it refuses."""
    module, given = layer.module, layer.calls[0].given
    name = type(module).__name__
    if name not in TWINS or type(module) is not getattr(torch.nn, name, None):
        return None
    ndim = given.value.ndim if given is not None else 0
    moved = given is not None and given.order != (*range(ndim),)
    forms = frozenset({MAPS[ndim - 2]}) if moved and ndim - 2 in MAPS else FEATURES_LAST
    with contextlib.suppress(ValueError):
        twin = TWINS[name][0](module, Site(forms))
        key = repr(twin)
        if key not in _TWINS:
            made: list[Any] = []
            jax.eval_shape(lambda: made.append(twin.make(nnx.Rngs(0))))
            _TWINS[key] = made[0]
        return _TWINS[key]
    return None
