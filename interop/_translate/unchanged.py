"""Modules left as they were, whatever a run of theirs does to them; and what is new in a run."""

import contextlib
import gc
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch


class Written:
    """The values that tensors had before a run wrote into them."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[torch.Tensor, torch.Tensor, int]] = {}

    def keep(self, tensor: torch.Tensor) -> None:
        """Notes the values of a tensor that is about to be written into."""
        self._before.setdefault(id(tensor), (tensor, tensor.detach().clone(), tensor._version))

    def restore(self) -> None:
        """Puts the values back."""
        for tensor, before, version in self._before.values():
            if tensor._version != version:
                tensor.detach().copy_(before)


@contextlib.contextmanager
def telling_new() -> Iterator[None]:
    """For a while, `is_new` tells what has been made since then: all else is set aside by the garbage collector."""
    count = gc.get_freeze_count()
    gc.freeze()
    try:
        yield
    finally:
        if not count:
            gc.unfreeze()


def is_new(thing: Any) -> bool:
    """Whether an object was made within `telling_new`."""
    return any(one is thing for one in gc.get_objects())


@contextlib.contextmanager
def unchanged(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; then each module has the attributes, modules, tensors and mode again that it had."""
    before = [(live, dict(live)) for part in module.modules() for live in _tables(part)]
    module.eval()
    try:
        yield
    finally:
        for live, entries in before:
            if not _same(live, entries):
                live.clear()
                live.update(entries)


def _tables(part: torch.nn.Module) -> list[dict[str, Any]]:
    """The dicts of a module that a run may change: its attributes, and those among them, such as its hooks."""
    return [vars(part), *(held for held in vars(part).values() if type(held) in (dict, OrderedDict))]


def _same(live: dict[str, Any], entries: dict[str, Any]) -> bool:
    """Whether a dict holds the same objects as before, in the same order."""
    return [*live] == [*entries] and all(live[word] is entries[word] for word in entries)
