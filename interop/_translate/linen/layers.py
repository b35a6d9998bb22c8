"""The layers of nnx in linen: what they are called, which arguments they take, and what tells them the mode."""

import ast
import dataclasses
from collections.abc import Sequence

from ..code import Expression, call, literal, operation


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A layer in linen.

    Attributes:
      name: its name in the source.
      channels: the place of the argument that linen reads off the input, if there is one.
      mode: the argument that is true in evaluation, if there is one.
      parts: what can be reached in it from outside.
    """

    name: str
    channels: int | None = None
    mode: str = ""
    parts: tuple[str, ...] = ()


LAYERS = {
    "nnx.Conv": _Layer("nn.Conv", 0),
    "ConvTranspose": _Layer("ConvTranspose", 0),
    "nnx.Linear": _Layer("nn.Dense", 0),
    "nnx.BatchNorm": _Layer("nn.BatchNorm", 0, "use_running_average"),
    "nnx.LayerNorm": _Layer("nn.LayerNorm", 0),
    "LayerNorm": _Layer("nn.LayerNorm", 0),
    "nnx.RMSNorm": _Layer("nn.RMSNorm", 0),
    "nnx.GroupNorm": _Layer("nn.GroupNorm", 0),
    "nnx.InstanceNorm": _Layer("nn.InstanceNorm", 0),
    "PReLU": _Layer("PReLU"),
    "nnx.Embed": _Layer("nn.Embed", parts=("embedding", "attend")),
    "nnx.Dropout": _Layer("nn.Dropout", mode="deterministic"),
    "nnx.MultiHeadAttention": _Layer("nn.MultiHeadDotProductAttention", 1, "deterministic"),
    "nnx.OptimizedLSTMCell": _Layer("nn.OptimizedLSTMCell", 0),
    "nnx.GRUCell": _Layer("nn.GRUCell", 0),
    "GRUCell": _Layer("nn.GRUCell", 0),
    "nnx.RNN": _Layer("nn.RNN"),
    "nnx.Bidirectional": _Layer("nn.Bidirectional"),
}
# What linen reads off its inputs, draws elsewhere, or has not.
_LEFT_OUT = ("rngs", "in_kv_features")


def make_layer(
    layer: str, args: Sequence[Expression], keywords: dict[str, Expression], train: Expression, axes: int = 1
) -> ast.Call:
    """The call that makes a layer in linen, from the arguments of nnx's.

    Args:
      layer: nnx's name for it.
      args, keywords: nnx's arguments.
      train: what is true in training.
      axes: over how many axes it normalizes.
    """
    known = LAYERS[layer]
    given = {word: value for word, value in keywords.items() if word not in _LEFT_OUT}
    if layer == "LayerNorm":
        over = given.pop("axes", literal(tuple(range(-axes, 0))))
        given = {"reduction_axes": over, "feature_axes": over, **given}
    # Attention that drops nothing has no mode.
    if known.mode and (layer != "nnx.MultiHeadAttention" or known.mode in given):
        given = {known.mode: operation("not", train), **{w: value for w, value in given.items() if w != known.mode}}
    return call(known.name, *(arg for n, arg in enumerate(args) if n != known.channels), **given)
