"""What kinds of layers a checkpoint's tensors probably belong to, and what says so.

Only for reading: conversion goes by the types of the model's layers, never by this.
"""

import dataclasses
import itertools
from collections.abc import Mapping

from jax_tconv.interop._convert.sources import Source

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Guess:
    """A layer of a checkpoint: its name, what it probably is, the evidence, and its parametrization."""

    name: str
    kind: str
    evidence: str
    parametrization: str
    tensors: dict[str, Shape]


def guess_layers(sources: Mapping[str, Source]) -> list[Guess]:
    """The checkpoint's layers in order, tensors of one prefix taken together."""
    groups: dict[str, dict[str, Source]] = {}
    for name, source in sources.items():
        layer, _, last = name.rpartition(".")
        groups.setdefault(layer, {})[last] = source
    guesses = []
    for (name, group), (_, following) in itertools.pairwise([*groups.items(), ("", {})]):
        tensors = {last: source.shape for last, source in group.items()}
        kind, evidence = _kind(tensors, _channels(following))
        how = ", ".join(dict.fromkeys(source.how for source in group.values() if source.how))
        guesses.append(Guess(name, kind, evidence, how, tensors))
    return guesses


def _channels(group: Mapping[str, Source]) -> int | None:
    """The number of channels of a normalization, which is that of the layer before it."""
    weight = group.get("weight")
    return weight.shape[0] if weight is not None and len(weight.shape) == 1 and weight.shape[0] > 1 else None


def _kind(tensors: Mapping[str, Shape], channels: int | None) -> tuple[str, str]:
    """What the layer probably is, and the evidence; `channels` are those of the normalization after it, if any."""
    if "in_proj_weight" in tensors:
        return "MultiheadAttention", "in_proj_weight"
    if "running_mean" in tensors:
        return "BatchNorm", "running_mean (InstanceNorm with running statistics has it too)"
    hidden = next((name for name in tensors if name.startswith("weight_hh")), None)
    if hidden is not None and len(tensors[hidden]) == 2:
        rows, columns = tensors[hidden]
        kind = {4 * columns: "LSTM", 3 * columns: "GRU", columns: "RNN"}.get(rows, "a recurrent layer")
        return kind, f"{hidden} has {rows} rows and {columns} columns"
    if "weight" not in tensors:
        return "arrays of its own", "no weight"
    weight, bias = tensors["weight"], tensors.get("bias")
    if len(weight) > 2:
        return _convolution(weight, bias, channels)
    if len(weight) == 2 and bias is None:
        return "Linear or Embedding", "a weight with two axes and no bias"
    if len(weight) == 2:
        return "Linear", "a weight with two axes, and a bias as long as the first"
    if weight in ((), (1,)):
        return "PReLU", "a weight of one value"
    if bias == weight:
        return "LayerNorm, GroupNorm or InstanceNorm", "weight and bias of one size"
    return "RMSNorm or PReLU", "a weight with one axis and no bias"


def _convolution(weight: Shape, bias: Shape | None, channels: int | None) -> tuple[str, str]:
    dims = f"{len(weight) - 2}d"
    out, source = (bias[0], "its bias") if bias else (channels, "the normalization after it")
    if out is None:
        return f"Conv{dims} or ConvTranspose{dims}", f"a weight with {len(weight)} axes, and no bias"
    words = f"channels out: {out}, by {source}; the weight's first two axes: {weight[0]}, {weight[1]}"
    groups = out // weight[1]
    transposed = out % weight[1] == 0 and weight[0] % max(groups, 1) == 0
    if out == weight[0]:
        if not transposed or groups > 1:
            return f"Conv{dims}", words
        return f"Conv{dims} or ConvTranspose{dims}", f"{words}, which fits both"
    if transposed:
        return f"ConvTranspose{dims}", words + (f", in {groups} groups" if groups > 1 else "")
    return f"Conv{dims} or ConvTranspose{dims}", f"{words}, which fits neither"
