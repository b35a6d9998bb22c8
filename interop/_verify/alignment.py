"""In which order a layer has its axes in PyTorch and in Flax.

It follows from the layer's type, from what the run shows of the tensors' axes, and, where both leave it open, from the
values that flow in: never from sizes that happen to agree, and never from what comes out.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from .runs import Array, Call, Traced

# Of more axes, only the order that the types give is tried.
MOST_AXES = 5
# Inputs that differ by more, as a fraction of the largest value, are not taken for the same.
SAME_INPUT = 0.05
Order = tuple[int, ...]
FEATURES_LAST = (torch.nn.Linear, torch.nn.LayerNorm, torch.nn.RMSNorm, torch.nn.Embedding, torch.nn.RNNCellBase)
# One layer in Flax as in torch, though torch's is made of others.
SEQUENCES = (torch.nn.RNNBase, torch.nn.MultiheadAttention)


def orders(module: Any, twin: Any, tensor: Traced) -> Iterator[Order]:
    """The orders of a layer's axes in Flax that its types allow, the most likely first."""
    ndim = tensor.value.ndim
    if isinstance(module, SEQUENCES) and ndim == 3:
        batch_first, theirs = module.batch_first, getattr(twin, "time_major", False)
        yield (0, 1, 2) if batch_first is not theirs else (1, 0, 2)
        return
    channels = _channels(module, ndim)
    if channels is None:
        yield tensor.order
        if ndim <= MOST_AXES:
            yield from itertools.permutations(range(ndim))
        return
    others = [n for n in range(ndim) if n != channels]
    place = _flax_channels(twin) % ndim
    if isinstance(module, FEATURES_LAST) and ndim <= MOST_AXES:
        for leading in itertools.permutations(others):
            yield (*leading, channels)
    else:
        yield (*others[:place], channels, *others[place:])


def _channels(module: Any, ndim: int) -> int | None:
    """Which axis has the channels in PyTorch; None if the type does not say."""
    kind = type(module)
    own = next((cls for cls in kind.__mro__ if cls.__module__.startswith("torch.nn.modules.")), None)
    if own is None or own is torch.nn.Module:
        return None
    if len(getattr(module, "normalized_shape", ())) > 1:
        return None  # over a map the channels are first among these axes, over anything else there are none
    if isinstance(module, FEATURES_LAST):
        return ndim - 1
    if isinstance(module, torch.nn.GroupNorm) and ndim > 1:
        return 1
    spatial = re.search(r"([123])d$", own.__name__)
    # Without a batch, the channels are first; BatchNorm1d and its like take vectors too.
    return max(0, ndim - 1 - int(spatial[1])) if spatial else None


def _flax_channels(twin: Any) -> int:
    """Which axis has the channels in Flax."""
    axis = getattr(twin, "axis", -1)
    return axis if isinstance(axis, int) else -1


def align(module: Any, twin: Any, call: Call, other: Call) -> tuple[Order | None, float | None]:
    """The order of the axes of the layer's input in Flax, and how far the inputs differ then.

    None for the order if the types leave several and the inputs fit none of them; None for the difference if a side has
    no input.
    """
    if call.given is None or other.given is None:
        return None, None
    best: tuple[float, Order] | None = None
    first: tuple[float, Order] | None = None
    choices = 0
    for order in orders(module, twin, call.given):
        choices += 1
        found = (difference(call.given.value.transpose(order), other.given.value)[1], order)
        first = first or found
        best = found if best is None or found[0] < best[0] else best
        if best[0] <= SAME_INPUT / 1000:
            break
    assert first is not None
    assert best is not None
    if best[0] <= SAME_INPUT:
        return best[1], best[0]
    return (first[1] if choices == 1 or isinstance(module, FEATURES_LAST) else None), first[0]


def result_order(module: Any, twin: Any, call: Call, order: Order | None) -> Order | None:
    """The order of the axes of what the layer gives, from that of its input; None if neither type nor input says."""
    assert call.result is not None
    ndim = call.result.value.ndim
    if order is not None and len(order) == ndim:
        return order
    if order is not None and isinstance(module, torch.nn.Embedding):
        return (*order, ndim - 1)
    allowed = list(itertools.islice(orders(module, twin, call.result), 2))
    return allowed[0] if len(allowed) == 1 else None


def difference(a: Array, b: Array) -> tuple[float, float]:
    """The largest difference, and the same as a fraction of the largest value of `a`; infinite for other shapes."""
    if a.shape != b.shape:
        return float("inf"), float("inf")
    if not a.size:
        return 0.0, 0.0
    kind = np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64
    x, y = a.astype(kind), b.astype(kind)
    with np.errstate(invalid="ignore"):
        gap = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
    largest = float(np.max(np.nan_to_num(gap, nan=np.inf)))
    scale = float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x)))
    return largest, largest / scale if scale else largest
