"""State dicts into the variables of linen modules."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util

import jax_tconv.linen

from .layouts import BATCH_NORM, CONV, CONV_TRANSPOSE, LINEAR, LayerType
from .matching import Model, Rename, match

LAYER_TYPES: dict[type[nn.Module], LayerType] = {
    jax_tconv.linen.ConvTranspose: CONV_TRANSPOSE,
    nn.Conv: CONV,
    nn.Dense: LINEAR,
    nn.BatchNorm: BATCH_NORM,
}


def linen_variables(
    module: nn.Module, state_dict: Mapping[str, Any], *example_inputs: Any, rename: Rename = None, strict: bool = True
) -> dict[str, Any]:
    """The variables of a linen module, with the values of a PyTorch state dict.

    A tensor `a.b.weight` fills the layer that linen names `a`, `b`. How it is laid out follows from the layer's type:
    this library's ConvTranspose, Flax's Conv, Dense and BatchNorm. Each value takes the dtype of the variable it fills.

    Args:
      module: the module.
      state_dict: names to tensors: of torch, numpy or JAX. A file is read with `interop.read`.
      *example_inputs: what the module is called with; of arrays only the shape and dtype count, so
        `jax.ShapeDtypeStruct` will do.
      rename: a mapping of name prefixes to what replaces them (the longest that fits is used), such as
        `{"main.0.": "project."}`, or a function of a name.
      strict: whether a missing or an unexpected key is an error, or a layer of another type; a wrong shape always is
        one. Variables that are not filled keep what `module.init` gives them.

    Returns:
      What `module.apply` takes: `{"params": ..., "batch_stats": ...}`.

    Raises:
      StateDictError (a ValueError): what does not fit, all of it listed.
      TypeError: `state_dict` is no mapping of tensors, `module` no linen module.

    Example:
      >>> import jax, numpy as np
      >>> from jax_tconv import interop
      >>> from jax_tconv.linen import ConvTranspose
      >>> image = jax.ShapeDtypeStruct((1, 16, 16, 8), np.float32)
      >>> state_dict = {"weight": np.ones((8, 4, 2, 2)), "bias": np.zeros(4)}
      >>> variables = interop.linen_variables(ConvTranspose(4, (2, 2), strides=2), state_dict, image)
      >>> variables["params"]["kernel"].shape
      (2, 2, 8, 4)
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a linen module, got {type(module).__name__}; for nnx there is load_state_dict")
    layers: dict[tuple[str, ...], nn.Module] = {}

    def note(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        layers[context.module.path] = context.module
        return call(*args, **kwargs)

    try:
        with nn.intercept_methods(note):
            shapes = traverse_util.flatten_dict(_init(module, example_inputs, abstract=True))
    except TypeError as error:
        if example_inputs:
            raise
        raise TypeError(f"example_inputs must be what the module is called with; got none: {error}") from error

    found: Model[tuple[str, ...]] = Model()
    paths = dict.fromkeys(place[1:-1] for place in shapes)
    for path in paths:
        arrays = {place[-1]: (leaf.shape, place) for place, leaf in shapes.items() if place[1:-1] == path}
        layer = next((LAYER_TYPES[cls] for cls in type(layers.get(path)).__mro__ if cls in LAYER_TYPES), None)
        if layer is not None:
            found.add_layer(".".join(path), layer, arrays)
        else:
            found.add_unsupported(".".join(path), type(layers.get(path)), arrays)
    values, _ = match(found, state_dict, rename, strict)
    filled = values.keys() == shapes.keys()
    variables = {} if filled else traverse_util.flatten_dict(_init(module, example_inputs, abstract=False))
    for place, value in values.items():
        variables[place] = jnp.asarray(value, shapes[place].dtype)
    return traverse_util.unflatten_dict(variables)


def _init(module: nn.Module, example_inputs: tuple[Any, ...], abstract: bool) -> Any:
    """What `module.init` makes; `abstract`, only its shapes and dtypes, without computing anything."""
    arrays = {n: value for n, value in enumerate(example_inputs) if hasattr(value, "shape")}

    def init(arrays: Mapping[int, Any]) -> Any:
        inputs = [arrays.get(n, value) for n, value in enumerate(example_inputs)]
        return nn.meta.unbox(module.init(jax.random.key(0), *inputs))

    if abstract:
        return jax.eval_shape(init, arrays)
    return init({n: jnp.zeros(value.shape, value.dtype) for n, value in arrays.items()})
