"""State dicts into nnx models."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import jax_tconv.nnx

from .layouts import BATCH_NORM, CONV, CONV_TRANSPOSE, LINEAR, LayerType
from .matching import Model, Rename, Unmatched, match

LAYER_TYPES: dict[type[nnx.Module], LayerType] = {
    jax_tconv.nnx.ConvTranspose: CONV_TRANSPOSE,
    nnx.Conv: CONV,
    nnx.Linear: LINEAR,
    nnx.BatchNorm: BATCH_NORM,
}


def load_state_dict(
    model: nnx.Module, state_dict: Mapping[str, Any], *, rename: Rename = None, strict: bool = True
) -> Unmatched:
    """Fills an nnx model, in place, with the tensors of a PyTorch state dict.

    A tensor `a.b.0.weight` fills the layer at `model.a.b[0]`; the items of an `nnx.Sequential` and of a list count as
    they do in torch. How it is laid out follows from the layer's type: this library's ConvTranspose, Flax's Conv,
    Linear and BatchNorm. Each value takes the dtype of the array it fills, as in torch.

    Args:
      model: the model; it is changed only if everything fits.
      state_dict: names to tensors: of torch, numpy or JAX. A file is read with `interop.read`.
      rename: a mapping of name prefixes to what replaces them (the longest that fits is used), such as
        `{"module.": ""}`, or a function of a name.
      strict: whether a missing or an unexpected key is an error, as in torch, or a layer of another type, which is
        otherwise left as it is; a wrong shape always is one.

    Returns:
      `missing_keys` and `unexpected_keys`, under the renamed names.

    Raises:
      StateDictError (a ValueError): what does not fit, all of it listed.
      TypeError: `state_dict` is no mapping of tensors, `model` no nnx model.

    Example:
      >>> import numpy as np
      >>> from flax import nnx
      >>> from jax_tconv import interop
      >>> from jax_tconv.nnx import ConvTranspose
      >>> model = nnx.Sequential(ConvTranspose(8, 4, (2, 2), strides=2, rngs=nnx.Rngs(0)), nnx.relu)
      >>> state_dict = {"0.weight": np.ones((8, 4, 2, 2)), "0.bias": np.zeros(4)}
      >>> interop.load_state_dict(model, state_dict)
      Unmatched(missing_keys=[], unexpected_keys=[])
    """
    if not isinstance(model, nnx.Module):
        raise TypeError(f"model must be an nnx model, got {type(model).__name__}; for linen there is linen_variables")
    variables: dict[int, nnx.Variable[Any]] = {}
    found: Model[int] = Model()
    for path, module in nnx.iter_modules(model):
        arrays = {name: value for name, value in vars(module).items() if _holds_weights(value)}
        layer = next((LAYER_TYPES[cls] for cls in type(module).__mro__ if cls in LAYER_TYPES), None)
        if layer is not None:
            variables |= {id(variable): variable for variable in arrays.values()}
            shapes = {name: (tuple(variable.shape), id(variable)) for name, variable in arrays.items()}
            found.add_layer(_torch_path(model, path), layer, shapes)
        elif arrays:
            found.add_unsupported(_torch_path(model, path), type(module), arrays)
    values, unmatched = match(found, state_dict, rename, strict)
    converted = {place: _like(variables[place].get_value(), value) for place, value in values.items()}
    for place, value in converted.items():
        variables[place].set_value(value)
    return unmatched


def _holds_weights(value: Any) -> bool:
    return isinstance(value, nnx.Param | nnx.BatchStat)


def _like(old: Any, value: Any) -> jax.Array:
    """`value` with the dtype, and on the devices, of the array it replaces."""
    array = jnp.asarray(value, old.dtype)
    return jax.device_put(array, old.sharding) if isinstance(old, jax.Array) else array


def _torch_path(model: nnx.Module, path: tuple[Any, ...]) -> str:
    """The layer's path as torch would write it: without the attribute in which an nnx.Sequential keeps its items."""
    names: list[str] = []
    node: Any = model
    for key in path:
        if not (isinstance(node, nnx.Sequential) and key == "layers"):
            names.append(str(key))
        node = getattr(node, key) if isinstance(key, str) else node[key]
    return ".".join(names)
