"""What the numbers show about the first layer that differs: which weights it has, and whose input."""

import itertools
from collections.abc import Sequence

import numpy as np

from .._text import printable
from .alignment import difference
from .comparison import OUTPUT
from .pairing import Pair
from .runs import Array, Layer, Run, Traced
from .verification import LayerDifference, Verification


def explain(found: Verification, theirs: Run, ours: Run, pairs: Sequence[Pair]) -> str:
    """The explanation in words, to follow the name of what differs; empty if the numbers show none."""
    first = found.first_difference
    if first is None:
        return ""
    if first in found.outputs:
        return _of_output(first, found, theirs, ours)
    pair = next(pair for pair in pairs if pair.name == first.name)
    if first.input_relative is None or first.input_relative <= found.tolerance:
        return _of_weights(pair, pairs, found.tolerance) if pair.fillings else ""
    return _of_input(pair, first, theirs, found)


def _of_weights(pair: Pair, pairs: Sequence[Pair], tolerance: float) -> str:
    for filling, actual in pair.fillings:
        expected, has = filling.value(), np.asarray(actual)
        if difference(expected, has)[1] <= tolerance:
            continue
        tensors = " and ".join(part for source in filling.sources.values() for part in source.parts)
        name = f"its {filling.parameter.flax_name} is not what {printable(tensors)} makes"
        if difference(np.flip(expected, tuple(range(max(expected.ndim - 2, 0)))), has)[1] <= tolerance:
            return f"its input agrees, but {name}: it is reversed along its spatial axes"
        for order in itertools.permutations(range(expected.ndim)):
            if difference(expected.transpose(order), has)[1] <= tolerance:
                return f"its input agrees, but {name}: its axes are in another order, {order}"
        for other in pairs:
            for theirs, _ in other.fillings if other is not pair else ():
                if theirs.slot.shape == filling.slot.shape and difference(theirs.value(), has)[1] <= tolerance:
                    return f"its input agrees, but {name}: it is that of {other.name!r}"
        return f"its input agrees, but {name}"
    return (
        "its input agrees and its weights are PyTorch's, so its arguments differ, or what is done with its output "
        f"before it is returned ({pair.torch.module!r})"
    )


def _of_input(pair: Pair, first: LayerDifference, theirs: Run, found: Verification) -> str:
    words = f"its input already differs, by {first.input_relative:.1e}"
    given, other = pair.torch.calls[0].given, pair.flax.calls[0].given
    if given is None or other is None:
        return f"{words}: look at what comes before"
    if shape := _flattened(given.value, other.value, theirs, found.tolerance):
        return (
            "its input has PyTorch's numbers in another order, that of a channels-last map flattened: load it with "
            f"flatten={{{pair.name!r}: {shape}}}"
        )
    if shifted := _channel_order(given, other, found.tolerance):
        return f"{words}: it has PyTorch's channels in another order, from {shifted} on first; look at a concatenation"
    for layer in theirs.layers.values():
        given_to, gives = layer.calls[-1].given, layer.calls[-1].result
        before = layer.leaf and layer.rank < pair.torch.rank and _is(given_to, other.value, found.tolerance)
        if before and _is(gives, given.in_flax, found.tolerance):
            return f"{words}: it is what {_named(layer)} takes in PyTorch, which Flax leaves out"
    for layer in theirs.layers.values():
        for call in layer.calls if layer.leaf and layer is not pair.torch else ():
            if _is(call.given, other.value, found.tolerance):
                return f"{words}: it is the input of {_named(layer)} in PyTorch, so the layers are in another order"
            if _is(call.result, other.value, found.tolerance):
                return f"{words}: it is the output of {_named(layer)} in PyTorch"
    return f"{words}: look at what comes before{_between(pair, theirs, found)}"


def _of_output(first: LayerDifference, found: Verification, theirs: Run, ours: Run) -> str:
    value = ours.outputs.get(first.name.removeprefix(OUTPUT)) or next(iter(ours.outputs.values()))
    for place, traced in theirs.outputs.items():
        if OUTPUT + place != first.name and _is(traced, value.value, found.tolerance):
            return f"it is PyTorch's {OUTPUT + place}"
    for layer in reversed(theirs.layers.values()):
        if layer.leaf and _is(layer.calls[-1].given, value.value, found.tolerance):
            return f"it is what {_named(layer)} takes in PyTorch, which Flax leaves out"
        if layer.leaf and _is(layer.calls[-1].result, value.value, found.tolerance):
            return f"it is the output of {_named(layer)} in PyTorch: something is left out after it"
    for order in itertools.permutations(range(value.value.ndim)):
        expected = theirs.outputs.get(first.name.removeprefix(OUTPUT))
        if expected is not None and difference(expected.value.transpose(order), value.value)[1] <= found.tolerance:
            return f"Flax has its values in another order of the axes: PyTorch's {order}"
    return ""


def _is(traced: Traced | None, value: Array, tolerance: float) -> bool:
    """Whether a tensor of torch's, in Flax's order, has these values."""
    return traced is not None and difference(traced.in_flax, value)[1] <= tolerance


def _named(layer: Layer) -> str:
    return f"{layer.names[0]!r} ({layer.module!r})" if not layer.module._modules else repr(layer.names[0])


def _flattened(theirs: Array, ours: Array, run: Run, tolerance: float) -> tuple[int, ...] | None:
    """The shape `(*spatial, channels)` of the map whose flattening in Flax is `ours` and in torch `theirs`."""
    if theirs.ndim != 2 or theirs.shape != ours.shape:
        return None
    rows, features = theirs.shape
    for channels in (n for n in range(2, features) if features % n == 0):
        moved = theirs.reshape(rows, channels, -1).transpose(0, 2, 1).reshape(rows, features)
        if difference(moved, ours)[1] <= tolerance:
            maps = (call.result.value.shape for layer in run.layers.values() for call in layer.calls if call.result)
            spatial = (shape[2:] for shape in maps if len(shape) > 2 and shape[1] == channels)
            return (*next((s for s in spatial if np.prod(s) * channels == features), (features // channels,)), channels)
    return None


def _channel_order(given: Traced, other: Traced, tolerance: float) -> int | None:
    """The channel of torch's with which Flax's input begins, if the channels are torch's turned round."""
    theirs, ours = given.in_flax, other.value
    if theirs.shape != ours.shape:
        return None
    starts = (n for n in range(1, theirs.shape[-1]) if difference(theirs[..., n], ours[..., 0])[1] <= tolerance)
    turned = (n for n in starts if difference(np.roll(theirs, -n, -1), ours)[1] <= tolerance)
    return next(turned, None)


def _between(pair: Pair, theirs: Run, found: Verification) -> str:
    """The layers of torch's that were not compared and come directly before."""
    agreed = [layer.name for layer in found.layers if layer.counts and layer.ok]
    ranks = [
        layer.rank for layer in theirs.layers.values() if layer.names[0] in agreed and layer.rank < pair.torch.rank
    ]
    last = max(ranks, default=-1)
    between = [layer for layer in theirs.layers.values() if layer.leaf and last < layer.rank < pair.torch.rank]
    after = next((repr(layer.names[0]) for layer in theirs.layers.values() if layer.rank == last), "")
    words = f"; {after} still agrees" if after else ""
    return f"{words}, and PyTorch has {', '.join(map(_named, between[:3]))} in between" if between else words
