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
    "PReLU", (Parameter("weight", "negative_slope", "1", ""),), hint="Flax's PReLU has one slope for all channels"
)


# The kernel of Flax's own ConvTranspose, by its `transpose_kernel`.
FLAX_KERNELS = {
    False: Parameter("weight", "kernel", "i o ...", "... i o", reverse=True),
    True: Parameter("weight", "kernel", "i o ...", "... o i"),
}


def _flax_conv_transpose(layer: Any, shapes: Shapes) -> LayerType:
    """Flax's own: it applies the kernel backwards, or, with `transpose_kernel`, as the gradient of a convolution."""
    hint = "Flax's ConvTranspose has no groups; jax_tconv's has feature_group_count"
    return LayerType("ConvTranspose", (FLAX_KERNELS[layer.transpose_kernel], _BIAS), spectral_axis=1, hint=hint)


def _linear_general(layer: Any, shapes: Shapes) -> LayerType:
    """A Linear whose input and output channels are spread over several axes."""
    axis = layer.axis if isinstance(layer.axis, tuple | list) else (layer.axis,)
    if layer.batch_axis if hasattr(layer, "batch_axis") else layer.batch_dims:
        raise UnsupportedLayerError("PyTorch's Linear has no batch axes in its weight")
    rank = len(shapes["kernel"])
    inputs = " ".join(f"i{n}" for n in range(len(axis)))
    outputs = " ".join(f"o{n}" for n in range(rank - len(axis)))
    return LayerType(
        "Linear",
        (
            Parameter("weight", "kernel", f"({outputs}) ({inputs})", f"{inputs} {outputs}"),
            Parameter("bias", "bias", f"({outputs})", outputs),
        ),
    )


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


def _gates(kernel: str, flax_names: tuple[str, ...], torch_name: str) -> list[Parameter]:
    count = len(flax_names)
    return [
        Parameter(torch_name, f"{name}.{kernel}", "o i", "i o", part=(n, count)) for n, name in enumerate(flax_names)
    ]


def _lstm(forget: str) -> LayerType:
    """Flax has one bias where torch has two."""
    gates = ("i", forget, "g", "o")
    biases = [
        Parameter("bias_ih", f"h{gate}.bias", "c", "c", part=(n, 4), added="bias_hh") for n, gate in enumerate(gates)
    ]
    inputs = _gates("kernel", tuple(f"i{gate}" for gate in gates), "weight_ih")
    hidden = _gates("kernel", tuple(f"h{gate}" for gate in gates), "weight_hh")
    return LayerType("LSTMCell", (*inputs, *hidden, *biases))


LSTM = _lstm("f")
LSTM_NNX = LayerType(
    "LSTMCell",
    tuple(
        dataclasses.replace(parameter, flax_name=parameter.flax_name.replace("if.", "if_."))
        for parameter in LSTM.parameters
    ),
)
LSTM_STACKED = LayerType(
    "LSTMCell",
    (
        Parameter("weight_ih", "dense_i.kernel", "o i", "i o"),
        Parameter("weight_hh", "dense_h.kernel", "o i", "i o"),
        Parameter("bias_ih", "dense_h.bias", "c", "c", added="bias_hh"),
    ),
)
GRU = LayerType(
    "GRUCell",
    (
        *_gates("kernel", ("ir", "iz", "in"), "weight_ih"),
        *_gates("kernel", ("hr", "hz", "hn"), "weight_hh"),
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
        Parameter("weight_ih", "dense_i.kernel", "o i", "i o"),
        Parameter("weight_hh", "dense_h.kernel", "o i", "i o"),
        Parameter("bias_ih", "dense_i.bias", "c", "c", added="bias_hh", without=(2, 3)),
    ),
)

LAYER_TYPES: dict[type, LayerType | Callable[[Any, Shapes], LayerType]] = {
    jax_tconv.linen.ConvTranspose: CONV_TRANSPOSE,
    jax_tconv.nnx.ConvTranspose: CONV_TRANSPOSE,
    linen.ConvTranspose: _flax_conv_transpose,
    nnx.ConvTranspose: _flax_conv_transpose,
    linen.Conv: CONV,
    nnx.Conv: CONV,
    linen.Dense: LINEAR,
    nnx.Linear: LINEAR,
    linen.DenseGeneral: _linear_general,
    nnx.LinearGeneral: _linear_general,
    linen.Embed: EMBEDDING,
    nnx.Embed: EMBEDDING,
    linen.BatchNorm: BATCH_NORM,
    nnx.BatchNorm: BATCH_NORM,
    linen.LayerNorm: NORM,
    nnx.LayerNorm: NORM,
    linen.GroupNorm: NORM,
    nnx.GroupNorm: NORM,
    linen.InstanceNorm: NORM,
    nnx.InstanceNorm: NORM,
    linen.RMSNorm: RMS_NORM,
    nnx.RMSNorm: RMS_NORM,
    linen.PReLU: PRELU,
    nnx.PReLU: PRELU,
    linen.LSTMCell: LSTM,
    linen.OptimizedLSTMCell: LSTM,
    nnx.LSTMCell: LSTM_NNX,
    nnx.OptimizedLSTMCell: LSTM_STACKED,
    linen.GRUCell: GRU,
    nnx.GRUCell: GRU_STACKED,
    linen.MultiHeadDotProductAttention: _attention,
    nnx.MultiHeadAttention: _attention,
}


def is_known(layer: Any) -> bool:
    """Whether the table has the layer's class."""
    return any(cls in LAYER_TYPES for cls in type(layer).__mro__)


def layer_type(layer: Any, shapes: Shapes) -> LayerType | None:
    """The type of a Flax layer whose arrays have these shapes; None where the table has not its class.

    Raises UnsupportedLayerError for one that PyTorch cannot have.
    """
    entry = next((LAYER_TYPES[cls] for cls in type(layer).__mro__ if cls in LAYER_TYPES), None)
    return entry(layer, shapes) if callable(entry) else entry


def after_flatten(layer: LayerType, feature_shape: Shape) -> LayerType:
    """A Linear that takes a flattened channels-last feature map, `(*spatial, channels)`; torch's has channels first."""
    if layer is not LINEAR:
        raise UnsupportedLayerError(f"flatten is for Linear and Dense layers, and this is a {layer.name}")
    axes = [f"s{n}" for n in range(len(feature_shape) - 1)]
    spatial = " ".join(axes)
    weight = Parameter(
        "weight",
        "kernel",
        f"o (c {spatial})",
        f"({spatial} c) o",
        sizes=dict(zip([*axes, "c"], feature_shape, strict=True)),
    )
    return LayerType("Linear", (weight, _BIAS))
