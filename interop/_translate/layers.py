"""Layers that Flax has too: how each is called, and in which order of axes; and how it is made."""

from typing import Any

from .._from_torch.conversion import torch_class
from .._from_torch.forms import LAST, MAPS, VECTOR, Site
from .._from_torch.made import Make
from .._from_torch.twins import TWINS, attention
from .code import Expression, call
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
