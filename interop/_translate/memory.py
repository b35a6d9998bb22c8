"""Memory that several tensors share: what a write into one of them does to the others.

A view that is written into is written back into what it is a view of, step by step, as `x.at[index].set(...)`. What
shares the memory otherwise, and no step leads to, has gone stale.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch

# Functions that give views by which a write finds its way back: by an index, with their arguments after the first; by
# a shape; by an order of axes that is its own inverse.
_BY_INDEX = {
    "select": ("dim", "index"),
    "narrow": ("dim", "start", "length"),
    "unbind": ("dim",),
    "chunk": ("chunks", "dim"),
    "split": ("split_size", "dim"),
    "split_with_sizes": ("split_sizes", "dim"),
    "tensor_split": ("sections", "dim"),
}
_ONE_BY_ONE = ("select", "unbind")
_BY_SHAPE = {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"}
_BY_ORDER = {"transpose", "swapaxes", "swapdims", "t", "mT"}


@dataclasses.dataclass(frozen=True)
class Base:
    """What a view is of, and what writes it back: a function, with its arguments besides the two tensors."""

    tensor: torch.Tensor
    function: str
    args: tuple[Any, ...] = ()

    def __eq__(self, other: object) -> bool:
        """Tensors are told apart by what they are, not by their elements."""
        if not isinstance(other, Base):
            return NotImplemented
        return self.tensor is other.tensor and (self.function, self.args) == (other.function, other.args)


class Memory:
    """The tensors of one frame by the memory that they are in, and what they are views of."""

    def __init__(self) -> None:
        self._by_place: dict[int, list[torch.Tensor]] = {}
        self._bases: dict[int, Base] = {}

    def note(self, tensor: torch.Tensor) -> None:
        """Keeps a tensor."""
        found = self._by_place.setdefault(place(tensor), [])
        if not any(one is tensor for one in found):
            found.append(tensor)

    def sharing(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """The tensors whose memory is in the same storage, this one included."""
        where = place(tensor)
        return self._by_place.get(where, []) if where else []

    def note_views(self, name: str, base: torch.Tensor, args: tuple[Any, ...], kwargs: Any, result: Any) -> None:
        """Keeps how what a function gave is a view of its first argument; `args` are the others."""
        results = list(result) if isinstance(result, tuple | list) else [result]
        if not all(isinstance(one, torch.Tensor) and one is not base for one in results):
            return
        where = place(base)
        if not where or any(place(one) != where for one in results):
            return
        for one, back in zip(results, _ways_back(name, base, args, kwargs, results), strict=False):
            self._bases[id(one)] = back

    def forget_view(self, tensor: torch.Tensor) -> None:
        """A tensor that has another shape now is no view by the same way any more."""
        self._bases.pop(id(tensor), None)

    def base(self, tensor: torch.Tensor) -> Base | None:
        """What a tensor is a view of; None if no way leads back."""
        return self._bases.get(id(tensor))


def _ways_back(name: str, base: torch.Tensor, args: Any, kwargs: Any, results: list[torch.Tensor]) -> Iterator[Base]:
    if name == "__getitem__":
        yield Base(base, "__setitem__", args)
    elif name in _BY_INDEX:
        given = dict(zip(_BY_INDEX[name], args, strict=False)) | kwargs
        dim = given.get("dim", 0) % base.ndim
        start = given.get("start", 0)
        for one in results:
            size = 1 if name in _ONE_BY_ONE else one.shape[dim]
            index = given.get("index", start) if name in _ONE_BY_ONE else slice(start, start + size)
            yield Base(base, "__setitem__", ((*[slice(None)] * dim, index),))
            start += size
    elif name in _BY_SHAPE:
        yield Base(base, "view_as")
    elif name == "permute" and not kwargs:
        dims = args[0] if len(args) == 1 and isinstance(args[0], tuple | list) else args
        axes = [axis % base.ndim for axis in dims]
        yield Base(base, "permute", tuple(axes.index(axis) for axis in range(base.ndim)))
    elif name in _BY_ORDER and not kwargs:
        yield Base(base, name, args)


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
    start = int(tensor.storage_offset())
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return start, start + sum(int(size - 1) * int(step) for size, step in steps)
