"""The calls of one layer on both sides compared, and what the models return."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import einops
import numpy as np
import torch
from flax import linen as nn
from flax import nnx

from .._layers.recurrent import RECURRENT_TENSOR
from .alignment import FEATURES_LAST, SAME_INPUT, align, difference, result_order
from .arguments import flax_words, torch_words
from .axes import convention
from .pairing import Pair
from .runs import Array, Call, Run, Traced
from .verification import LayerDifference, NotCompared

OUTPUT, INPUT = "(output)", "(input)"
_RECURRENT = (nn.RNN, nnx.RNN)


@dataclasses.dataclass(frozen=True)
class _Compared:
    """One call: both results, in Flax's order, and by how much those and the inputs differ."""

    theirs: Array
    ours: Array
    before: float | None

    @functools.cached_property
    def gap(self) -> tuple[float, float]:
        return difference(self.theirs, self.ours)


def compare_pair(pair: Pair, rule: str | None, tolerance: float) -> LayerDifference | NotCompared | None:
    """The call of a layer that differs most; None for a module made of others whose calls cannot be laid side by side.

    `rule` is the caller's word on the axes of what the layer gives.
    """
    counts = pair.is_layer
    reason = _inner_layer(pair)
    if reason:
        return NotCompared(pair.name, reason)
    calls = (_of_one_way(pair, call, other) for call, other in _matched(pair))
    results = (_compare(pair, call, other, rule, counts) for call, other in calls if call.result and other.result)
    found = [result for result in results if result is not None]
    if not found:
        times = [len(layer.calls) for layer in (pair.torch, pair.flax)]
        reason = "no order of its axes makes its inputs agree, so that of its output is not known; axes= says it"
        if times[0] != times[1]:
            reason = f"calls with one input are compared, and PyTorch calls it {times[0]} times, Flax {times[1]}"
        return NotCompared(pair.name, reason, bool(pair.fillings)) if counts else None
    worst = max(found, key=lambda one: one.gap[1])
    names = torch_words(pair.torch), flax_words(pair.flax)
    ok = worst.gap[1] <= tolerance
    return LayerDifference(
        pair.name, *names, worst.theirs.shape, worst.ours.shape, *worst.gap, worst.before, ok, counts=counts
    )


def compare_outputs(
    theirs: Run, ours: Run, axes: Mapping[str, str], tolerance: float
) -> tuple[list[LayerDifference], str]:
    """What both models return, array by array, and what is wrong with where these stand; empty if nothing is."""
    expected, found = theirs.outputs, ours.outputs
    if {*expected} != {*found} and all({*places} in ({""}, {"[0]"}) for places in (expected, found)):
        expected, found = ({"": value} for places in (expected, found) for value in places.values())
    rows = []
    for place, traced in expected.items():
        if place in found:
            rule = axes.get(OUTPUT + place)
            known = rule is not None or traced.to_flax is not None or traced.value.ndim < 3
            moved, result = as_flax(traced, rule, OUTPUT + place), found[place].value
            gap = difference(moved, result)
            shapes = moved.shape, result.shape
            rows.append(
                LayerDifference(OUTPUT + place, "", "", *shapes, *gap, None, gap[1] <= tolerance, assumed=not known)
            )
    if ours.failed or ({*expected} == {*found} and expected):
        return rows, ""
    return rows, f"the outputs differ in number or place: PyTorch returns {_listed(expected)}, Flax {_listed(found)}"


def as_flax(tensor: Traced, rule: str | None, name: str) -> Array:
    """A tensor in Flax's order: by the caller's rule, by what the run shows of its axes, or by the convention."""
    return tensor.in_flax if rule is None else _rearranged(tensor.value, rule, name)


def _rearranged(array: Array, rule: str, name: str) -> Array:
    try:
        return np.asarray(einops.rearrange(array, rule))
    except einops.EinopsError as error:
        words = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"axes: {rule!r} does not fit {name!r}, whose shape is {array.shape}: {words}") from None


def _listed(places: Mapping[str, Traced]) -> str:
    if not places:
        return "no array"
    return "one array" if [*places] == [""] else f"{len(places)} at {', '.join(places)}"


def _compare(pair: Pair, call: Call, other: Call, rule: str | None, counts: bool) -> _Compared | None:
    assert call.result is not None
    assert other.result is not None
    module, theirs, ours = pair.torch.module, call.result, other.result.value
    order, before = align(module, pair.flax.module, call, other)
    if rule is not None:
        return _Compared(_rearranged(theirs.value, rule, pair.name), ours, before)
    if isinstance(module, FEATURES_LAST) and theirs.value.ndim != ours.ndim and call.given and other.given:
        # One model has the leading axes as one: the rows are compared.
        before = difference(_rows(call.given.value), _rows(other.given.value))[1]
        return _Compared(_rows(theirs.value), _rows(ours), before)
    order = result_order(module, pair.flax.module, call, order)
    if order is None and not counts:
        order = convention(theirs.value.ndim)
    if order is None or (not counts and theirs.value.transpose(order).shape != ours.shape):
        return None
    return _Compared(theirs.value.transpose(order), ours, before)


def _rows(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])


def _matched(pair: Pair) -> Iterator[tuple[Call, Call]]:
    """The calls of both that belong together: by their inputs, and where these decide nothing in order."""
    left = list(pair.flax.calls)
    unsure = []
    for call in pair.torch.calls:
        fits = [other for other in left if _same_input(pair, call, other)] if len(pair.torch.calls) > 1 else []
        if fits:
            left = [other for other in left if other is not fits[0]]
            yield call, fits[0]
        else:
            unsure.append(call)
    if len(unsure) == len(left):
        yield from zip(unsure, left, strict=True)


def _same_input(pair: Pair, call: Call, other: Call) -> bool:
    before = align(pair.torch.module, pair.flax.module, call, other)[1]
    return before is not None and before <= SAME_INPUT


def _inner_layer(pair: Pair) -> str:
    """Why there is nothing to compare the layer with: of several recurrent layers torch shows the last one's output."""
    number = max((number for number, _ in _recurrent_parts(pair)), default=None)
    if number is None or number + 1 == pair.torch.module.num_layers:
        return ""
    return f"layer {number + 1} of {pair.torch.module.num_layers}: PyTorch shows the output of the last"


def _recurrent_parts(pair: Pair) -> list[tuple[int, bool]]:
    """Of torch's recurrent layer the layers, and whether on the way back, whose tensors fill the Flax one."""
    if not isinstance(pair.torch.module, torch.nn.RNNBase):
        return []
    found = (RECURRENT_TENSOR.search(name) for name in pair.tensors)
    return [(int(match[1]), match[2] is not None) for match in found if match]


def _of_one_way(pair: Pair, call: Call, other: Call) -> tuple[Call, Call]:
    """The calls of a recurrent layer, with the half of torch's features and the direction in time that Flax has."""
    module, twin = pair.torch.module, pair.flax.module
    found = _recurrent_parts(pair)
    if not found or not call.result:
        return call, other
    # What torch's layers hand to each other is not seen.
    given = None if any(number > 0 for number, _ in found) else call.given
    value = call.result.value
    if not isinstance(twin, _RECURRENT):
        return Call(given, call.result), other
    if module.bidirectional:
        half = value.shape[-1] // 2
        value = value[..., half:] if any(back for _, back in found) else value[..., :half]
    call = Call(given, dataclasses.replace(call.result, value=value))
    turned = _turned(twin, other, given=True, result=False)
    if given is not None and not _same_input(pair, call, other) and _same_input(pair, call, turned):
        return call, _turned(twin, other, given=True, result=not _gives_reversed(twin))
    return call, _turned(twin, other, given=False, result=_gives_reversed(twin))


def _gives_reversed(twin: Any) -> bool:
    return bool(twin.reverse and not twin.keep_order)


def _turned(twin: Any, call: Call, given: bool, result: bool) -> Call:
    """A call with the given ones of its arrays reversed in time."""
    axis = 0 if twin.time_major else 1

    def turn(array: Traced | None, wanted: bool) -> Traced | None:
        return Traced(np.flip(array.value, axis)) if array is not None and wanted and array.value.ndim == 3 else array

    return Call(turn(call.given, given), turn(call.result, result))
