"""What a model returns beside what torch returns, channels last or with torch's axes."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import torch

# Which inputs have their channels last: one truth value for each.
Layout = tuple[bool, ...]


def layouts(inputs: tuple[torch.Tensor, ...]) -> list[Layout]:
    """The ways in which the Flax model may want them, the convention first.

    Nothing says which of torch's axes are channels: (batch, 31, 24) may be 24 channels of each of 31 places already.
    """
    choices = [(True, False) if x.ndim > 2 and x.is_floating_point() else (False,) for x in inputs]
    return list(itertools.product(*choices))


def given(inputs: tuple[torch.Tensor, ...], layout: Layout) -> list[np.ndarray]:
    """The inputs for the Flax model."""
    return [(x.movedim(1, -1) if last else x).numpy() for x, last in zip(inputs, layout, strict=True)]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The arrays within what a model returns, as they are, each with its place."""
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    elif dataclasses.is_dataclass(value):
        items = vars(value).items()
    else:
        if isinstance(value, torch.Tensor | jax.Array):
            yield path, value
        elif value is not None and not isinstance(value, str):
            yield path, np.asarray(value)
        return
    for key, item in items:
        yield from leaves(item, (*path, key))


def paired(ours: Any, theirs: Any) -> list[tuple[Any, Any]]:
    """The arrays of both that belong together; raises a ValueError where their numbers differ."""
    found, wanted = dict(leaves(ours)), dict(leaves(theirs))
    if len(found) != len(wanted):
        raise ValueError(f"returns {len(found)} arrays, torch {len(wanted)}")
    if found.keys() == wanted.keys():  # a dict's are sorted by jit
        return [(found[key], wanted[key]) for key in wanted]
    return list(zip(found.values(), wanted.values(), strict=True))


def difference(ours: Any, theirs: Any) -> float:
    """The largest relative difference of any array; raises a ValueError where they cannot be compared."""
    return max(relative(*pair) for pair in paired(ours, theirs))


def relative(ours: Any, theirs: Any) -> float:
    """Of one array, with whichever of the two orders of axes fits better; random values never fit the wrong one."""
    found = np.asarray(ours)
    wanted = aligned(found, theirs)
    if not np.issubdtype(wanted.dtype, np.floating):
        return 0.0 if np.array_equal(found, wanted) else np.inf
    largest = float(abs(wanted).max()) or 1.0
    worst = float(abs(found.astype("float64") - wanted).max()) / largest
    return worst if np.isfinite(worst) else np.inf


def aligned(ours: np.ndarray, theirs: Any) -> np.ndarray:
    """torch's array with its axes in the order of ours; raises a ValueError where none fits."""
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    candidates = [theirs, np.moveaxis(theirs, 1, -1)] if theirs.ndim > 2 else [theirs]
    fitting = [candidate for candidate in candidates if candidate.shape == ours.shape]
    if not fitting:
        raise ValueError(f"returns an array of shape {ours.shape}, torch one of {theirs.shape}")
    return min(fitting, key=lambda candidate: abs(ours - candidate).sum())
