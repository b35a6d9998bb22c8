"""Memory that several tensors share: what a write into one of them does to the others.

A view that is written into is written back into what it is a view of, step by step, as `x.at[index].set(...)`. What
shares the memory otherwise, and no step leads to, has gone stale.
"""

from collections.abc import Iterator
from typing import Any

import torch

# Functions that give views by which a write finds its way back: by an index, by a shape, by an order of axes.
_BY_INDEX = {"__getitem__", "select", "narrow", "unbind", "chunk", "split", "split_with_sizes", "tensor_split"}
_BY_SHAPE = {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"}
_BY_ORDER = {"permute", "transpose", "swapaxes", "swapdims", "t", "mT"}


class Memory:
    """The tensors of one frame by the memory that they are in, and what they are views of."""

    def __init__(self) -> None:
        self._by_place: dict[int, list[torch.Tensor]] = {}
        # The tensor that a view is of, and the function and arguments that write the view back into it.
        self._bases: dict[int, tuple[torch.Tensor, str, tuple[Any, ...]]] = {}

    def note(self, tensor: torch.Tensor) -> None:
        """Keeps a tensor."""
        found = self._by_place.setdefault(place(tensor), [])
        if not any(one is tensor for one in found):
            found.append(tensor)

    def sharing(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """The tensors whose memory is in the same storage, this one included."""
        where = place(tensor)
        return self._by_place.get(where, []) if where else []

    def note_views(self, name: str, base: torch.Tensor, args: tuple[Any, ...], result: Any) -> None:
        """Keeps how what a function gave is a view of its first argument; `args` are the others."""
        if isinstance(result, torch.Tensor):
            results = [result]
        elif isinstance(result, tuple | list) and all(isinstance(one, torch.Tensor) for one in result):
            results = list(result)
        else:
            return
        where = place(base)
        if not where or any(place(one) != where or one is base for one in results):
            return
        for one, back in zip(results, _ways_back(name, base, args, results), strict=False):
            self._bases[id(one)] = (base, *back)

    def forget_view(self, tensor: torch.Tensor) -> None:
        """A tensor that has another shape now is no view by the same way any more."""
        self._bases.pop(id(tensor), None)

    def base(self, tensor: torch.Tensor) -> tuple[torch.Tensor, str, tuple[Any, ...]] | None:
        """What a tensor is a view of, and the function and arguments that write it back; None if it is none."""
        return self._bases.get(id(tensor))


def _ways_back(name: str, base: torch.Tensor, args: Any, results: list[torch.Tensor]) -> Iterator[tuple[str, Any]]:
    if name == "__getitem__":
        yield "__setitem__", args
    elif name == "select":
        yield "__setitem__", ((*_whole(args[0] % base.ndim), args[1]),)
    elif name == "narrow":
        dim, start, length = args
        yield "__setitem__", ((*_whole(dim % base.ndim), slice(start, start + length)),)
    elif name in _BY_INDEX:
        dim = next((n for n in range(base.ndim) if name == "unbind" and len(args) == 0), None)
        dim = _dim_of_parts(name, args) if dim is None else dim
        start = 0
        for one in results:
            size = 1 if name == "unbind" else one.shape[dim]
            index = start if name == "unbind" else slice(start, start + size)
            yield "__setitem__", ((*_whole(dim % base.ndim), index),)
            start += size
    elif name in _BY_SHAPE:
        yield "view_as", ()
    elif name in ("permute",):
        dims = args[0] if len(args) == 1 and isinstance(args[0], tuple | list) else args
        axes = [axis % base.ndim for axis in dims]
        yield "permute", tuple(axes.index(axis) for axis in range(base.ndim))
    elif name in _BY_ORDER:
        yield name, args


def _dim_of_parts(name: str, args: Any) -> int:
    at = 0 if name == "unbind" else 1
    return int(args[at]) if len(args) > at else 0


def _whole(axes: int) -> list[slice]:
    return [slice(None)] * axes


def place(tensor: torch.Tensor) -> int:
    """The address of the memory that a tensor is in; 0 if it has none of its own."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):
        return 0


def overlap(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors in one storage have an element in common."""
    if not a.numel() or not b.numel():
        return False
    if a.element_size() != b.element_size():
        return True
    first, last = max(_ends(a)[0], _ends(b)[0]), min(_ends(a)[1], _ends(b)[1])
    if first > last:
        return False
    marks = torch.zeros(max(_ends(a)[1], _ends(b)[1]) + 1, dtype=torch.bool)
    marks.as_strided(a.shape, a.stride(), a.storage_offset()).fill_(True)
    return bool(marks.as_strided(b.shape, b.stride(), b.storage_offset()).any())


def _ends(tensor: torch.Tensor) -> tuple[int, int]:
    """The first and the last element of the storage that a tensor has."""
    start = tensor.storage_offset()
    return start, start + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
