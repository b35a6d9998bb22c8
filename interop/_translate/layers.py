"""Layers that Flax has too: how each is called, and in which order of axes; and how it is made."""

import ast
import inspect
from typing import Any

import torch
from flax import nnx

import jax_tconv.nnx

from .._from_torch.conversion import torch_class
from .._from_torch.forms import LAST, MAPS, VECTOR, Site
from .._from_torch.made import RNGS, Apply, Make
from .._from_torch.twins import TWINS, attention
from .code import Expression, call, literal, name
from .emitting import Emitter, Out, Untranslatable
from .graph import Node, Value, values
from .heads import call_attention
from .orders import Order, channels_last, plain
from .states import call_cell, call_rnn

# Layers that take or give several tensors.
_CALLS = {
    "MultiheadAttention": call_attention,
    "LSTM": call_rnn,
    "GRU": call_rnn,
    "LSTMCell": call_cell,
    "GRUCell": call_cell,
}
_MAPS = ("Conv", "ConvTranspose", "InstanceNorm", "GroupNorm")
_CHANNELS = ("BatchNorm", "PReLU")
_FEATURES = ("Linear", "LayerNorm", "RMSNorm", "Embedding")
_LAYERS = (*_MAPS, *_CHANNELS, *_FEATURES, *_CALLS, "Dropout", "Dropout1d", "Dropout2d", "Dropout3d")


def family(module: Any) -> str | None:
    """The torch class without its number of axes, of a module that is a layer in Flax too; None for any other."""
    try:
        found = torch_class(module)
    except ValueError:
        return None
    base = found[:-2] if found[-2:] in ("1d", "2d", "3d") else found
    if base in _LAYERS and (base != "Dropout" or module.p > 0):
        return base
    return None


def is_layer(module: Any) -> bool:
    """Whether a torch module is a layer in Flax too."""
    return family(module) is not None


def call_layer(e: Emitter, node: Node, function: Expression) -> Any:
    """The call of a layer, by an expression that is the layer."""
    made(node.module, next(iter(values([node.args, node.kwargs])), None))
    call_several = _CALLS.get(family(node.module) or "")
    if call_several is not None:
        return call_several(e, node, function)
    x, *others = (*node.args, *node.kwargs.values())
    more: dict[str, Any] = {}
    if others and family(node.module) == "ConvTranspose" and len(others) == 1:
        if others[0] is not None:
            sizes = tuple(others[0])[-len(node.module.kernel_size) :]
            more["output_size"] = e.number(sizes)
    elif others:
        raise Untranslatable(f"its {type(node.module).__name__} is called with several arguments")
    order = input_order(node.module, x, e.order(x))
    result = (*order, x.ndim) if family(node.module) == "Embedding" else order
    return Out(call(function, e.array(x, order), **more), result)


def input_order(module: Any, x: Value, order: Order) -> Order:
    """The order of axes in which a layer takes its input, which is in this one."""
    kind = family(module)
    if kind in _FEATURES:
        count = len(module.normalized_shape) if kind in ("LayerNorm", "RMSNorm") else 1
        if kind == "Embedding":
            return order
        return order if order[-count:] == plain(x.ndim)[-count:] else plain(x.ndim)
    if kind in _CHANNELS or kind in _MAPS:
        spatial = str(type(module).__name__)
        unbatched = kind in ("Conv", "ConvTranspose") and x.ndim == len(module.kernel_size) + 1
        if unbatched:
            return (*range(1, x.ndim), 0)
        del spatial
        if kind == "PReLU" and module.num_parameters == 1:
            return order
        return channels_last(x.ndim)
    if kind == "Dropout" and type(module).__name__ != "Dropout":
        return channels_last(x.ndim)
    return order


def made(module: Any, x: Value | None) -> Make:
    """The call that makes the Flax layer; `x` is what it was called with, if it ever was."""
    kind = torch_class(module)
    ndim = _ndim(module, x)
    form = VECTOR if ndim == 2 else MAPS.get(ndim - 2, LAST)
    forms = frozenset({LAST, VECTOR}) if family(module) in _FEATURES else frozenset({form})
    if family(module) in ("Dropout", "PReLU") and type(module).__name__ in ("Dropout", "PReLU"):
        forms = frozenset({form, LAST})
    try:
        # Where the batch is, is the caller's matter here.
        twin = attention(module) if kind == "MultiheadAttention" else TWINS[kind][0](module, Site(forms))
    except ValueError as error:
        raise Untranslatable(str(error)) from None
    assert isinstance(twin, Make)
    return twin


def _ndim(module: Any, x: Value | None) -> int:
    if x is not None:
        return x.ndim
    digits = type(module).__name__[-2:-1]
    return int(digits) + 2 if digits.isdigit() else 3


# Functions by the names under which the source has them.
_HOMES = {nnx: "nnx", jax_tconv.nnx: ""}


def spelled(twin: Make | Apply) -> Expression:
    """The call as source, with every argument, in Flax's shortest form."""
    function = spell_function(twin.function)
    if isinstance(twin, Apply):
        return call("partial", function, **twin.kwargs) if twin.kwargs else function
    parameters = list(inspect.signature(twin.function.__init__).parameters)[1:]  # type: ignore[misc]
    args = [_argument(word, value, twin) for word, value in zip(parameters, twin.args, strict=False)]
    args += [_argument("", value, twin) for value in twin.args[len(args) :]]
    keywords = {word: _argument(word, value, twin) for word, value in twin.kwargs.items()}
    return call(function, *args, **keywords)


def spell_function(function: Any) -> Expression:
    """A class or function by the name under which it is imported."""
    word = function.__name__
    if function is getattr(jax_tconv.nnx, word, None):
        return name(word)
    if getattr(nnx, word, None) is function:
        return name(f"nnx.{word}")
    module = function.__module__
    if module.startswith("jax_tconv"):
        return name(f"functional.{word}")
    return name(f"jnp.{word}") if "numpy" in module else name(f"jax.nn.{word}")


def _argument(word: str, value: Any, twin: Make) -> Expression:
    if isinstance(value, Make | Apply):
        return spelled(value)
    if value is RNGS:
        return name("rngs")
    if word in ("strides", "kernel_dilation", "padding", "output_padding"):
        value = _short(value)
    if word == "kernel_size":
        value = (value,) if isinstance(value, int) else tuple(value)
    if word == "param_dtype":
        return name(f"jnp.{value}")
    if isinstance(value, list):
        value = tuple(value)
    found = literal(value)
    if isinstance(found, ast.Constant):
        found.role = word  # type: ignore[attr-defined]
    return found


def _short(value: Any) -> Any:
    """One number for the same on every axis, and on both sides."""
    if isinstance(value, tuple | list) and value and all(item == value[0] for item in value):
        inner = value[0]
        if isinstance(inner, tuple | list):
            return inner[0] if inner[0] == inner[1] else tuple(map(tuple, value))
        return inner
    return tuple(value) if isinstance(value, list) else value


_ = torch
