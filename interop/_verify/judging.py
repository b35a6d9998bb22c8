"""The verdict on two runs: every pair of layers and every output compared, and what was left out."""

import dataclasses
import difflib
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._layers.layer_types import is_known
from .arguments import compare_arguments, compare_functions
from .comparison import INPUT, OUTPUT, as_flax, compare_outputs, compare_pair
from .explanation import explain
from .pairing import Pair
from .runs import Layer, Run
from .verification import LayerDifference, NotCompared, Verification


def flax_inputs(inputs: Sequence[Any], theirs: Run, axes: Mapping[str, str]) -> tuple[Any, ...]:
    """What the Flax model is called with: the arrays in Flax's order, anything else as it is."""
    given = []
    for number, (value, traced) in enumerate(zip(inputs, theirs.inputs, strict=True)):
        if traced is None or not hasattr(value, "shape"):
            given.append(value)
            continue
        name = f"{INPUT}[{number}]"
        rule = axes.get(name) or (axes.get(INPUT) if len(inputs) == 1 else None)
        # Indices have no channels, unless the run shows some.
        plain = rule is None and traced.to_flax is None and traced.value.dtype.kind in "iub"
        given.append(traced.value if plain else as_flax(traced, rule, name))
    return tuple(given)


def judge(
    theirs: Run,
    ours: Run,
    pairs: Sequence[Pair],
    axes: Mapping[str, str],
    skip: Sequence[str],
    tolerance: float,
    precision: str | None,
) -> Verification:
    """What `verify` returns."""
    _check_names(theirs, axes, skip)
    left_out = [pair.name for pair in pairs if any(_matches(name, skip) for name in pair.torch.names)]
    shown = [pair for pair in pairs if pair.name not in left_out]
    # What the whole model gives is its output.
    compared = [compare_pair(pair, _rule(pair.torch, axes), tolerance) for pair in shown if pair.name]
    layers = [one for one in compared if isinstance(one, LayerDifference)]
    outputs, missing = compare_outputs(theirs, ours, axes, tolerance)
    outputs = [one for one in outputs if not _matches(one.name, skip)]
    layer_pairs = [pair for pair in shown if pair.is_layer]
    arguments = [one for pair in layer_pairs for one in compare_arguments(pair.name, pair.torch, pair.flax)]
    arguments += [one for one in compare_functions(theirs, ours) if not _matches(one.layer, skip)]
    not_compared = [one for one in compared if isinstance(one, NotCompared)]
    not_compared += [NotCompared(name, "skip") for name in left_out]
    not_compared += _unpaired(theirs, ours, pairs)
    found = Verification(
        tuple(layers),
        tuple(outputs),
        tolerance,
        tuple(arguments),
        tuple(not_compared),
        missing,
        ours.failed,
        precision=precision,
    )
    return dataclasses.replace(found, explanation=explain(found, theirs, ours, shown))


def _check_names(theirs: Run, axes: Mapping[str, str], skip: Sequence[str]) -> None:
    """ValueError for a name or a pattern that fits nothing."""
    known = [name for layer in theirs.layers.values() for name in layer.names if name]
    known += [OUTPUT, *(OUTPUT + place for place in theirs.outputs)]
    for name in skip:
        if not fnmatch.filter(known, name):
            raise ValueError(f"skip names {name!r}, which PyTorch's model does not have or call{_close(name, known)}")
    known += [INPUT, *(f"{INPUT}[{n}]" for n in range(len(theirs.inputs)))]
    for name in axes:
        if name not in known:
            raise ValueError(f"axes names {name!r}, which PyTorch's model does not have or call{_close(name, known)}")


def _close(name: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, known, 3)
    return f"; close to it are {', '.join(map(repr, found))}" if found else ""


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _rule(layer: Layer, axes: Mapping[str, str]) -> str | None:
    return next((axes[name] for name in layer.names if name in axes), None)


def _unpaired(theirs: Run, ours: Run, pairs: Sequence[Pair]) -> Iterator[NotCompared]:
    """The layers of either side that have no partner."""
    paired = {id(side) for pair in pairs for side in (pair.torch, pair.flax)}
    for layer in theirs.layers.values():
        if layer.leaf and layer.names[0] and id(layer) not in paired:
            arrays = any(t is not None for t in (*layer.module._parameters.values(), *layer.module._buffers.values()))
            reason = "Flax calls no layer that its tensors fill" if arrays else "Flax has no layer of its name"
            yield NotCompared(layer.names[0], reason, arrays)
    yield from (NotCompared(name, "PyTorch does not call it") for name in theirs.silent)
    inside = [path for pair in pairs if pair.flax.leaf for path in pair.flax.paths]
    for layer in ours.layers.values():
        own = layer.paths[0]
        alone = not any(own[: len(path)] == path for path in inside)
        if id(layer) not in paired and alone and is_known(layer.module):
            yield NotCompared(".".join(own) or "(model)", "only the Flax model has it")
