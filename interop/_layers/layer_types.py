"""The table that conversion reads: each type of layer, its arrays on both sides, and the Flax classes that are it.

To add a layer type, describe its arrays in a `LayerType` and name its classes at the end. Where the arrays depend on
how the layer is made, a function of the layer and of its arrays' shapes stands in the type's place.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from flax import linen, nnx

import jax_tconv.linen
import jax_tconv.nnx

from .layouts import LayerType, Parameter, Shape, UnsupportedLayerError

Shapes: TypeAlias = Mapping[str, Shape]


_BIAS = Parameter("bias", "bias", "c", "c")

CONV_TRANSPOSE = LayerType(
    "ConvTranspose", (Parameter("weight", "kernel", "i o ...", "... i o"), _BIAS), spectral_axis=1
)
CONV = LayerType("Conv", (Parameter("weight", "kernel", "o i ...", "... i o"), _BIAS))
LINEAR = LayerType("Linear", (Parameter("weight", "kernel", "o i", "i o"), _BIAS))
EMBEDDING = LayerType("Embedding", (Parameter("weight", "embedding", "n c", "n c"),))
NORM = LayerType("Norm", (Parameter("weight", "scale", "c", "c"), _BIAS))
BATCH_NORM = LayerType(
    "BatchNorm",
    (*NORM.parameters, Parameter("running_mean", "mean", "c", "c"), Parameter("running_var", "var", "c", "c")),
    torch_only=("num_batches_tracked",),
)
RMS_NORM = LayerType("RMSNorm", (Parameter("weight", "scale", "c", "c"),))
PRELU = LayerType(
    "PReLU",
    (Parameter("weight", "negative_slope", "c", "c"),),
    hint="num_parameters must be the same on both sides",
)
FLAX_PRELU = LayerType(
    "PReLU",
    (Parameter("weight", "negative_slope", "1", ""),),
    hint="Flax's PReLU has one slope for all channels; jax_tconv's has one for each, with num_parameters",
)


# The kernel of Flax's own ConvTranspose, by its `transpose_kernel`.
FLAX_KERNELS = {
    False: Parameter("weight", "kernel", "i o ...", "... i o", reverse=True),
    True: Parameter("weight", "kernel", "i o ...", "... o i"),
}


def _flax_conv_transpose(layer: Any, shapes: Shapes) -> LayerType:
    """Flax's own, which applies the kernel backwards, or with `transpose_kernel` as the gradient of a convolution."""
    hint = "Flax's ConvTranspose has no groups; jax_tconv's has feature_group_count"
    return LayerType("ConvTranspose", (FLAX_KERNELS[layer.transpose_kernel], _BIAS), spectral_axis=1, hint=hint)


def _norm_of_axes(norm: LayerType) -> Callable[[Any, Shapes], LayerType]:
    """A norm over the last axis, or over several, whose order is the same on both sides unless the caller says so.

    Over a feature map the channels are first in torch and last in Flax; over anything else the axes stay as they are.
    """

    def typed(layer: Any, shapes: Shapes) -> LayerType:
        rank = max(map(len, shapes.values()))
        if rank == 1:
            axes = layer.feature_axes
            if isinstance(layer, nnx.Module) and isinstance(axes, tuple | list) and len(axes) > 1:
                raise UnsupportedLayerError(
                    "over several axes it keeps its arrays flat, and their shape in PyTorch is not known; use "
                    "jax_tconv.nnx.LayerNorm(normalized_shape)"
                )
            return norm
        order = " ".join(f"a{n}" for n in range(rank))
        spatial = " ".join("dhw"[1 - rank :])
        parameters = tuple(
            dataclasses.replace(p, torch_axes=order, flax_axes=order, free=True) for p in norm.parameters
        )
        moved = f"layouts={{'{{arrays}}': 'c {spatial} -> {spatial} c'}}"
        hint = f"if PyTorch's input is a map, channels first, say so: {moved}" if rank < 5 else ""
        return LayerType(norm.name, parameters, hint=hint)

    return typed


def _linear_general(layer: Any, shapes: Shapes) -> LayerType:
    """A Linear whose input and output channels are spread over several axes."""
    axis = layer.axis if isinstance(layer.axis, tuple | list) else (layer.axis,)
    if layer.batch_axis if hasattr(layer, "batch_axis") else layer.batch_dims:
        raise UnsupportedLayerError("PyTorch's Linear has no batch axes in its weight")
    rank = len(shapes["kernel"])
    inputs = " ".join(f"i{n}" for n in range(len(axis)))
    outputs = " ".join(f"o{n}" for n in range(rank - len(axis)))
    weight = Parameter("weight", "kernel", f"({outputs}) ({inputs})", f"{inputs} {outputs}")
    return LayerType("Linear", (weight, Parameter("bias", "bias", f"({outputs})", outputs)))


def _attention(layer: Any, shapes: Shapes) -> LayerType:
    """torch stacks the projections of query, key and value if they read the same number of channels."""
    read = [shapes[f"{name}.kernel"] for name in ("query", "key", "value")]
    if read[0][1:] != read[1][1:] or read[1][1:] != read[2][1:]:
        raise UnsupportedLayerError("in PyTorch, query, key and value have equally many heads of one size")
    packed = read[0] == read[1] == read[2]
    parameters = []
    for n, name in enumerate(("query", "key", "value")):
        torch_name, part = ("in_proj_weight", (n, 3)) if packed else (f"{name[0]}_proj_weight", (0, 1))
        parameters.append(Parameter(torch_name, f"{name}.kernel", "(h d) i", "i h d", part=part))
    for n, name in enumerate(("query", "key", "value")):
        parameters.append(Parameter("in_proj_bias", f"{name}.bias", "(h d)", "h d", part=(n, 3)))
    parameters.append(Parameter("out_proj.weight", "out.kernel", "o (h d)", "h d o"))
    parameters.append(Parameter("out_proj.bias", "out.bias", "o", "o"))
    return LayerType("MultiheadAttention", tuple(parameters))


def _gates(torch_name: str, *flax_names: str) -> list[Parameter]:
    """The layers that Flax has for the gates, whose weights torch stacks; one layer if Flax stacks them too."""
    count = len(flax_names)
    return [Parameter(torch_name, f"{name}.kernel", "o i", "i o", part=(n, count)) for n, name in enumerate(flax_names)]


def _lstm(*inputs: str) -> LayerType:
    """`inputs` are Flax's layers for the gates' inputs. Flax has one bias where torch has two."""
    hidden = ("hi", "hf", "hg", "ho")
    biases = [Parameter("bias_ih", f"{h}.bias", "c", "c", part=(n, 4), added="bias_hh") for n, h in enumerate(hidden)]
    return LayerType("LSTMCell", (*_gates("weight_ih", *inputs), *_gates("weight_hh", *hidden), *biases))


LSTM = _lstm("ii", "if", "ig", "io")
LSTM_NNX = _lstm("ii", "if_", "ig", "io")
_STACKED = (*_gates("weight_ih", "dense_i"), *_gates("weight_hh", "dense_h"))
LSTM_STACKED = LayerType("LSTMCell", (*_STACKED, Parameter("bias_ih", "dense_h.bias", "c", "c", added="bias_hh")))
GRU = LayerType(
    "GRUCell",
    (
        *_gates("weight_ih", "ir", "iz", "in"),
        *_gates("weight_hh", "hr", "hz", "hn"),
        Parameter("bias_ih", "ir.bias", "c", "c", part=(0, 3), added="bias_hh"),
        Parameter("bias_ih", "iz.bias", "c", "c", part=(1, 3), added="bias_hh"),
        Parameter("bias_ih", "in.bias", "c", "c", part=(2, 3)),
        Parameter("bias_hh", "hn.bias", "c", "c", part=(2, 3)),
    ),
)
# nnx's cell has no bias of its own within the reset gate.
GRU_STACKED = LayerType(
    "GRUCell",
    (
        *_STACKED,
        Parameter(
            "bias_ih",
            "dense_i.bias",
            "c",
            "c",
            added="bias_hh",
            without=(2, 3),
            instead="jax_tconv.nnx.GRUCell",
        ),
    ),
)
GRU_WITH_BOTH = LayerType(
    "GRUCell",
    (*_STACKED, Parameter("bias_ih", "dense_i.bias", "c", "c"), Parameter("bias_hh", "dense_h.bias", "c", "c")),
)

_CLASSES: tuple[tuple[LayerType | Callable[[Any, Shapes], LayerType], *tuple[type, ...]], ...] = (
    (CONV_TRANSPOSE, jax_tconv.linen.ConvTranspose, jax_tconv.nnx.ConvTranspose),
    (_flax_conv_transpose, linen.ConvTranspose, nnx.ConvTranspose),
    (CONV, linen.Conv, nnx.Conv),
    (LINEAR, linen.Dense, nnx.Linear),
    (_linear_general, linen.DenseGeneral, nnx.LinearGeneral),
    (EMBEDDING, linen.Embed, nnx.Embed),
    (BATCH_NORM, linen.BatchNorm, nnx.BatchNorm),
    (NORM, linen.GroupNorm, nnx.GroupNorm, linen.InstanceNorm, nnx.InstanceNorm),
    (_norm_of_axes(NORM), linen.LayerNorm, nnx.LayerNorm, jax_tconv.nnx.LayerNorm),
    (_norm_of_axes(RMS_NORM), linen.RMSNorm, nnx.RMSNorm),
    (PRELU, jax_tconv.linen.PReLU, jax_tconv.nnx.PReLU),
    (FLAX_PRELU, linen.PReLU, nnx.PReLU),
    (LSTM, linen.LSTMCell, linen.OptimizedLSTMCell),
    (LSTM_NNX, nnx.LSTMCell),
    (LSTM_STACKED, nnx.OptimizedLSTMCell),
    (GRU, linen.GRUCell),
    (GRU_STACKED, nnx.GRUCell),
    (GRU_WITH_BOTH, jax_tconv.nnx.GRUCell),
    (_attention, linen.MultiHeadDotProductAttention, nnx.MultiHeadAttention),
)
LAYER_TYPES = {cls: entry for entry, *classes in _CLASSES for cls in classes}


def is_known(layer: Any) -> bool:
    """Whether the table has the layer's class."""
    return any(cls in LAYER_TYPES for cls in type(layer).__mro__)


def layer_type(layer: Any, shapes: Shapes) -> LayerType | None:
    """The type of a Flax layer whose arrays have these shapes; None if its class is not in the table.

    Raises UnsupportedLayerError for one that PyTorch cannot have.
    """
    entry = next((LAYER_TYPES[cls] for cls in type(layer).__mro__ if cls in LAYER_TYPES), None)
    return entry(layer, shapes) if callable(entry) else entry


def after_flatten(layer: LayerType, feature_shape: Shape) -> LayerType:
    """A Linear that takes a flattened channels-last feature map, `(*spatial, channels)`; torch's has channels first."""
    if layer is not LINEAR:
        raise UnsupportedLayerError(f"flatten is for Linear and Dense layers, but this is a {layer.name}")
    axes = [f"s{n}" for n in range(len(feature_shape) - 1)]
    spatial, sizes = " ".join(axes), dict(zip([*axes, "c"], feature_shape, strict=True))
    weight = Parameter("weight", "kernel", f"o (c {spatial})", f"({spatial} c) o", sizes=sizes)
    return LayerType("Linear", (weight, _BIAS))
