"""The meaning of the axes of a PyTorch model's tensors, followed through a run, operation by operation."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from .axes import Axes, Axis, Role, Symbol, fresh, mark, regroup, role, unite


class Tracing(TorchDispatchMode):
    """Follows the axes of every tensor while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self._axes: Any = WeakIdKeyDictionary()

    def of(self, tensor: torch.Tensor) -> Axes:
        """The axes of a tensor."""
        found = self._axes.get(tensor)
        if found is None or len(found) != tensor.ndim:
            found = self._axes[tensor] = fresh(tensor.shape)
        return found

    def know(self, tensor: torch.Tensor, axes: Axes) -> None:
        """Says what the axes of a tensor are."""
        self._axes[tensor] = axes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operation, and gives its results their axes."""
        result = func(*args, **(kwargs or {}))
        tensors = result if isinstance(result, tuple | list) else (result,)
        if any(isinstance(tensor, torch.Tensor) for tensor in tensors):
            rule = _same_axes if torch.Tag.pointwise in func.tags else RULES.get(func.overloadpacket.__name__, _unknown)
            for tensor, axes in zip(tensors, rule(self, args, kwargs or {}, tensors), strict=False):
                if isinstance(tensor, torch.Tensor) and axes is not None and len(axes) == tensor.ndim:
                    self.know(tensor, axes)
        return result


Rule: TypeAlias = Callable[[Tracing, Sequence[Any], dict[str, Any], Sequence[Any]], Iterator[Axes | None]]


def _unknown(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    return itertools.repeat(None)


def _same_axes(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    """Elementwise: operands are aligned at their last axes, and where both have more than one row they are one axis."""
    operands = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
    for result in results:
        axes: list[Axis] = []
        for n in range(-result.ndim, 0):
            met = [trace.of(t)[n] for t in operands if t.ndim >= -n and t.shape[n] == result.shape[n]]
            for other in met[1:]:
                unite(met[0], other)
            axes.append(met[0] if met else (Symbol(result.shape[n]),))
        yield tuple(axes)


def _moved(order: Callable[[Any, int], Sequence[int]]) -> Rule:
    def rule(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
        axes = trace.of(args[0])
        yield tuple(axes[n] for n in order(args, len(axes)))

    return rule


def _exchanged(args: Any, ndim: int) -> Sequence[int]:
    order = list(range(ndim))
    a, b = (args[1] % ndim, args[2] % ndim) if len(args) > 2 else (0, ndim - 1)
    order[a], order[b] = order[b], order[a]
    return order


def _viewed(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    yield regroup(trace.of(args[0]), tuple(results[0].shape))


def _dropped(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    """One axis, or those of the argument, left out; or every one of a single row."""
    axes, shape = trace.of(args[0]), args[0].shape
    # Only `squeeze` and `unbind` may leave the axis out; the one takes every single row, the other the first axis.
    every = [n for n, size in enumerate(shape) if size == 1] if len(results) == 1 else [0]
    dims = args[1] if len(args) > 1 else every
    gone = {n % max(len(axes), 1) for n in (dims if isinstance(dims, list | tuple) else [dims])}
    for result in results:
        if result.ndim == len(axes):  # kept as one row
            yield tuple((Symbol(1, role(axis)),) if n in gone else axis for n, axis in enumerate(axes))
        else:
            yield tuple(axis for n, axis in enumerate(axes) if n not in gone)


def _reduced(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    everything = len(args) < 2 or args[1] is None or args[1] == []
    yield from _dropped(trace, (args[0], [*range(args[0].ndim)] if everything else args[1]), kwargs, results)


def _unsqueezed(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    axes = list(trace.of(args[0]))
    axes.insert(args[1] % (len(axes) + 1), (Symbol(1),))
    yield tuple(axes)


def _resized(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    """The same axes, of which some have other sizes: a slice, a pad, an expansion."""
    axes = trace.of(args[0])
    for result in results:
        if result.ndim < len(axes):
            yield None
            continue
        same = (*fresh(result.shape[: result.ndim - len(axes)]), *axes)
        yield tuple(
            axis if math.prod(s.size for s in axis) == size else (Symbol(size, role(axis)),)
            for axis, size in zip(same, result.shape, strict=True)
        )


def _joined(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    parts = [tensor for tensor in args[0] if tensor.ndim == results[0].ndim]
    for other in parts[1:]:
        for a, b in zip(trace.of(parts[0]), trace.of(other), strict=True):
            unite(a, b)
    yield from _resized(trace, [parts[0]], {}, results)


def _stacked(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    axes = list(trace.of(args[0][0]))
    axes.insert((args[1] if len(args) > 1 else 0) % (len(axes) + 1), (Symbol(len(args[0])),))
    yield tuple(axes)


def _product(a: int, b: int) -> Rule:
    """A product of matrices, the operands being those arguments."""

    def rule(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
        left, right = trace.of(args[a]), trace.of(args[b])
        columns = right[-1]
        if len(left) == 2:
            mark(left[-1], Role.FEATURES)
            # A matrix along a row of pixels gives a row of pixels.
            spatial = role(left[-1]) is Role.SPATIAL
            columns = (Symbol(results[0].shape[-1], Role.SPATIAL if spatial else Role.FEATURES),)
        yield (*left[:-1], columns)

    return rule


def _maps(channels: int) -> Rule:
    """Maps to maps: the batch, the channels on the axis of that number, and spatial axes."""

    def rule(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
        axes = trace.of(args[0])
        if len(axes) > 2:
            for n, axis in enumerate(axes):
                mark(axis, Role.CHANNELS if n == channels else Role.SPATIAL if n > channels else Role.UNKNOWN)
        else:
            mark(axes[-1], Role.FEATURES)
        yield from _resized(trace, args, kwargs, results)

    return rule


def _features_last(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    mark(trace.of(args[0])[-1], Role.FEATURES)
    yield from _resized(trace, args, kwargs, results)


def _layer_norm(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    return (_features_last if len(args[1]) == 1 else _resized)(trace, args, kwargs, results)


def _embedding(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    yield (*trace.of(args[1]), (Symbol(results[0].shape[-1], Role.FEATURES),))


def _attention(trace: Tracing, args: Any, kwargs: Any, results: Any) -> Iterator[Axes | None]:
    yield (*trace.of(args[0])[:-1], trace.of(args[2])[-1])


_SPATIAL = ("max_pool{}d_with_indices", "avg_pool{}d", "_adaptive_avg_pool{}d", "adaptive_max_pool{}d")
_UPSAMPLED = [f"upsample_{kind}" for kind in ("nearest1d", "nearest2d", "nearest3d", "linear1d", "bilinear2d")]
_UPSAMPLED += ["upsample_bicubic2d", "upsample_trilinear3d", "_upsample_nearest_exact2d", "pixel_shuffle"]
_PADDED = [f"{kind}_pad{n}d" for kind in ("reflection", "replication") for n in (1, 2, 3)]
RULES: dict[str, Rule] = {
    **dict.fromkeys(("permute",), _moved(lambda args, ndim: [n % ndim for n in args[1]])),
    **dict.fromkeys(("transpose", "t"), _moved(_exchanged)),
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unflatten"), _viewed),
    **dict.fromkeys(("select", "squeeze", "unbind"), _dropped),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "argmax", "argmin", "var", "std", "prod"), _reduced),
    **dict.fromkeys(("slice", "expand", "constant_pad_nd", "roll", "flip", "narrow", *_PADDED), _resized),
    **dict.fromkeys(("detach", "alias", "_to_copy", "lift_fresh", "_softmax", "_log_softmax", "cumsum"), _resized),
    **dict.fromkeys(("split", "split_with_sizes", "unsafe_split", "native_dropout", "index_select", "glu"), _resized),
    **dict.fromkeys(("native_group_norm", "native_batch_norm", "convolution"), _maps(1)),
    **dict.fromkeys((name.format(n) for name in _SPATIAL for n in (2, 3)), _maps(1)),
    **dict.fromkeys(_UPSAMPLED, _maps(1)),
    "unsqueeze": _unsqueezed,
    "cat": _joined,
    "stack": _stacked,
    "mm": _product(0, 1),
    "bmm": _product(0, 1),
    "addmm": _product(1, 2),
    "baddbmm": _product(1, 2),
    "native_layer_norm": _layer_norm,
    "embedding": _embedding,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
}
