"""What a model returns beside what torch returns, with the channels last or where torch has them."""

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
    """Of one array, with the order of axes that fits best: random values never fit a wrong one."""
    found, wanted = np.asarray(ours), as_numpy(theirs)
    wanted = to_order(wanted, order(found, wanted))
    if not np.issubdtype(wanted.dtype, np.floating):
        return 0.0 if np.array_equal(found, wanted) else np.inf
    largest = float(abs(wanted).max()) or 1.0
    worst = float(abs(found.astype("float64") - wanted).max()) / largest
    return worst if np.isfinite(worst) else np.inf


def order(ours: np.ndarray, theirs: np.ndarray) -> int:
    """Which of torch's axes is last in ours, the others as they were; raises a ValueError where none fits.

    It is usually the second, and the third where torch has stacked outputs in front of the channels.
    """
    axes = [-1, *range(1, theirs.ndim - 1)]
    fitting = [axis for axis in axes if to_order(theirs, axis).shape == ours.shape]
    if not fitting:
        raise ValueError(f"returns an array of shape {ours.shape}, torch one of {theirs.shape}")
    return min(fitting, key=lambda axis: abs(ours.astype("float64") - to_order(theirs, axis)).sum())


def to_order(theirs: np.ndarray, axis: int) -> np.ndarray:
    """torch's array in the order that `order` found."""
    return np.moveaxis(theirs, axis, -1)


def as_numpy(value: Any) -> np.ndarray:
    """An array of numpy's from one of torch's, JAX's or numpy's."""
    return value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
