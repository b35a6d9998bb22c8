"""Which layers of torch.nn a checkpoint's tensors can belong to.

Names and shapes are all there is to go by. A layer is called by one name only if no other layer of torch.nn, with any
arguments, has these tensors; otherwise all that have are named. What is listed before or after it proves nothing:
modules are listed as they are defined, not as they are called. The weights of a loss are no layer's.

Only for reading: conversion goes by the types of the model's layers, never by this.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping

from jax_tconv.interop._convert.sources import Source

Shape = tuple[int, ...]
Tensors = Mapping[str, Shape]

UNKNOWN = "unknown"
_RECURRENT = re.compile(r"(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)(_l\d+(?:_reverse)?)?")
_GATES = {4: "LSTM", 3: "GRU", 1: "RNN"}
_STATISTICS = {"running_mean", "running_var"}
_PROJECTIONS = {"q_proj_weight", "k_proj_weight", "v_proj_weight"}
_ATTENTION_BIASES = {"in_proj_bias", "bias_k", "bias_v"}


@dataclasses.dataclass(frozen=True)
class Guess:
    """A layer of a checkpoint.

    Attributes:
      name: its name.
      kind: the layer of torch.nn that it is, or "not certain" and those that it may be, or "unknown".
      kinds: those alone, the more usual ones first; one if it is certain, none if no layer of torch.nn fits.
      evidence: the arguments with which they fit.
      parametrization: weight norm or spectral norm, if its tensors are folded.
      tensors: the shapes of its tensors.
    """

    name: str
    kind: str
    kinds: tuple[str, ...]
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
    known: dict[tuple[tuple[str, Shape], ...], tuple[str, tuple[str, ...], str]] = {}
    for (name, group), (_, following) in itertools.pairwise([*groups.items(), ("", {})]):
        tensors = {last: tuple(source.shape) for last, source in group.items()}
        key = tuple(tensors.items())
        if key not in known:
            calls = list(_calls(tensors))
            kinds = tuple(call.partition("(")[0] for call in calls)
            known[key] = _in_words(kinds), kinds, _evidence(calls)
        kind, kinds, evidence = known[key]
        how = ", ".join(dict.fromkeys(source.how for source in group.values() if source.how))
        hint = _hint(tensors, _channels(following)) if len(kinds) > 1 else ""
        guesses.append(Guess(name, kind, kinds, evidence + hint, how, tensors))
    return guesses


def _in_words(kinds: tuple[str, ...]) -> str:
    if not kinds:
        return UNKNOWN
    return f"not certain: {_listed(kinds)}" if len(kinds) > 1 else kinds[0]


def _evidence(calls: list[str]) -> str:
    if not calls:
        return "no layer of torch.nn has just these tensors"
    return f"as in {_listed(calls)}" if len(calls) > 1 else f"nothing but {calls[0]} has these"


def _listed(words: list[str] | tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _calls(tensors: Tensors) -> Iterator[str]:
    """The layers of torch.nn that have just these tensors, as they would be made, with what the shapes say."""
    names = set(tensors)
    counted = names - {"num_batches_tracked"}
    if names in ({"weight"}, {"weight", "bias"}):
        yield from _with_weight(tensors["weight"], tensors.get("bias"))
    elif counted - {"weight", "bias"} == _STATISTICS and ("bias" not in counted or "weight" in counted):
        shape, *others = {tensors[name] for name in counted}
        if len(shape) == 1 and not others:
            yield f"BatchNorm({shape[0]})"
            yield f"InstanceNorm({shape[0]}, track_running_stats=True)"
    elif names - _ATTENTION_BIASES in ({"in_proj_weight"}, _PROJECTIONS):
        yield from _attention([tensors[name] for name in sorted(names - _ATTENTION_BIASES)])
    elif all(map(_RECURRENT.fullmatch, names)):
        yield from _recurrent(tensors)


def _with_weight(weight: Shape, bias: Shape | None) -> Iterator[str]:
    """The layers that have a weight, and a bias or none."""
    axes = len(weight)
    size = str(weight[0] if axes == 1 else weight)
    if axes == 2 and bias in (None, weight[:1]):
        yield f"Linear({weight[1]}, {weight[0]})"
    if axes == 2 and bias is None:
        yield f"Embedding({weight[0]}, {weight[1]})"
        yield f"EmbeddingBag({weight[0]}, {weight[1]})"
    if axes in (3, 4, 5):
        yield from _convolutions(f"{axes - 2}d", weight, bias)
    if axes == 3 and bias in (None, weight[:1]):
        yield f"Bilinear({weight[1]}, {weight[2]}, {weight[0]})"
    if axes == 1 and bias is None:
        yield f"PReLU({size})"
    if axes and bias in (None, weight):
        yield f"LayerNorm({size})"
    if axes and bias is None:
        yield f"RMSNorm({size})"
    if axes == 1 and bias in (None, weight):
        yield f"GroupNorm(groups, {size})"
        yield f"InstanceNorm({size}, affine=True)"
        yield f"BatchNorm({size}, track_running_stats=False)"


def _convolutions(dims: str, weight: Shape, bias: Shape | None) -> Iterator[str]:
    """A convolution's weight is (out, in // groups, ...), a transposed one's (in, out // groups, ...)."""
    first, second = weight[:2]
    if bias in (None, (first,)):
        yield f"Conv{dims}({second} * groups, {first})"
    if bias is None:
        yield f"ConvTranspose{dims}({first}, {second} * groups)"
    elif len(bias) == 1 and second and bias[0] % second == 0:
        groups = bias[0] // second
        if groups and first % groups == 0:
            yield f"ConvTranspose{dims}({first}, {bias[0]}{f', groups={groups}' if groups > 1 else ''})"


def _attention(weights: list[Shape]) -> Iterator[str]:
    """Attention: one weight of query, key and value stacked, or one of each, in this order or another."""
    if all(len(shape) == 2 for shape in weights):
        channels = {rows * len(weights) // 3 for rows, _ in weights}
        if len(channels) == 1 and (len(weights) == 3 or weights[0][0] == 3 * weights[0][1]):
            yield f"MultiheadAttention({channels.pop()}, heads)"


def _recurrent(tensors: Tensors) -> Iterator[str]:
    """A recurrent layer or cell: a gate has as many rows as the layer has channels."""
    hidden = {shape for name, shape in tensors.items() if name.startswith("weight_hh")}
    inputs = tensors.get("weight_ih_l0", tensors.get("weight_ih", ()))
    if len(hidden) != 1 or len(inputs) != 2 or len(*hidden) != 2:
        return
    ((rows, columns),) = hidden
    projected = any(name.startswith("weight_hr") for name in tensors)
    gates = 4 if projected else rows // columns if columns else 0
    if gates in _GATES and (projected or rows == gates * columns):
        cell = "" if "weight_ih_l0" in tensors else "Cell"
        size = f"{rows // gates}, proj_size={columns}" if projected else str(columns)
        yield f"{_GATES[gates]}{cell}({inputs[1]}, {size})"


def _channels(group: Mapping[str, Source]) -> int | None:
    """The channels of a normalization, if this is one."""
    shape = group["weight"].shape if "weight" in group else ()
    return shape[0] if len(shape) == 1 and shape[0] > 1 else None


def _hint(tensors: Tensors, channels: int | None) -> str:
    """What the normalization that is listed next suggests of a convolution without a bias, and does not prove."""
    weight = tensors.get("weight", ())
    if channels is None or "bias" in tensors or len(weight) not in (3, 4, 5):
        return ""
    fits = list(_convolutions(f"{len(weight) - 2}d", weight, (channels,)))
    return f"; the norm listed next has {channels} channels, as {fits[0]} makes" if len(fits) == 1 else ""
