"""The names that PyTorch code gives its tensors and sizes, so that the translation has the same."""

import contextlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

import torch

from .graph import Value
from .sizes import is_traced


@contextlib.contextmanager
def noting_returns(note: Callable[[FrameType], None]) -> Iterator[None]:
    """Calls a function with the frame of every Python function that returns, for a while, unless a profiler runs."""
    if sys.getprofile() is not None:
        yield
        return
    sys.setprofile(lambda frame, event, arg: note(frame) if event == "return" else None)
    try:
        yield
    finally:
        sys.setprofile(None)


def note_names(
    frames: Iterable[FrameType], values: dict[int, Value], sizes: dict[Any, str], modules: dict[int, str]
) -> None:
    """Gives values, sources of sizes, and modules the names of the variables that hold them; the outermost first."""
    for frame in reversed(list(frames)):
        for name, held in frame.f_locals.items():
            if not name.isidentifier() or name in ("self", "args", "kwargs"):
                continue
            if isinstance(held, torch.Tensor):
                _suggest(values.get(id(held)), name)
            elif is_traced(held):
                sizes.setdefault(held.source, name)
            elif isinstance(held, torch.nn.Module):
                modules.setdefault(id(held), name)
            elif isinstance(held, list | tuple):
                for n, item in enumerate(held[:100]):
                    if isinstance(item, torch.Tensor):
                        _suggest(values.get(id(item)), f"{singular(name)}{n + 1}")
            elif isinstance(held, dict):
                for key, item in held.items():
                    if isinstance(item, torch.Tensor) and isinstance(key, str) and key.isidentifier():
                        _suggest(values.get(id(item)), key)


def _suggest(value: Value | None, name: str) -> None:
    if value is not None and name not in value.hints:
        value.hints.append(name)


def singular(name: str) -> str:
    """One of what a name names several of: `skips` is a list of `skip`, and `convs1` of `conv1`."""
    digits = re.search(r"_?\d*$", name)
    if digits and digits[0]:
        return singular(name[: digits.start()]) + digits[0]
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    if re.search("(s|x|ch|sh)es$", name):
        return name[:-2]
    if name.endswith("s") and not name.endswith("ss"):
        return name[:-1]
    return re.sub("_?list$", "", name) or name
