"""Whole pickled modules as the state dicts that they would give: read from their attributes, which are plain data.

Of a pickled `torch.nn.Module` only its class would be code. Its `_parameters`, `_buffers` and `_modules` are dicts, and
torch's own `state_dict` goes over them as it is done here, so the names and their order are the same. Modules whose
class overrides that, or that have hooks for it, give these tensors too, under these names.
"""

from collections import deque
from typing import Any

from .._text import plain
from .pickles import Unmade
from .refusal import Refused

_DEEPEST = 100
# A pickle may hold one module in many places, and in each of them all that is in it is named anew.
_MOST_PARTS = 100_000
_MOST_CHARACTERS = 16 * 2**20
_MOST_CONTAINERS = 100_000
# How deep in a file dicts of tensors and modules are looked for, and in how long lists: longer ones hold no models, but
# histories and the like.
DEEPEST_ENTRY = 8
_LONGEST_LIST = 1000

_KINDS = ("_parameters", "_buffers", "_modules")


def opened(content: Any) -> Any:
    """`content` with each module in it, or in the dicts and lists in it, replaced by its state dict."""
    budget = _Budget()
    if _is_module(content):
        return _state_dict(content, budget)
    seen = {id(content)}
    queue: deque[tuple[int, Any]] = deque([(0, content)])
    while queue:
        depth, value = queue.popleft()
        for key, child in children(value).items():
            if _is_module(child) and not isinstance(value, tuple):
                value[key] = _state_dict(child, budget)
            elif isinstance(child, dict | list | tuple) and depth < DEEPEST_ENTRY and id(child) not in seen:
                seen.add(id(child))
                queue.append((depth + 1, child))
        if len(seen) > _MOST_CONTAINERS:
            raise Refused(f"is not read: it holds more than {_MOST_CONTAINERS:,} dicts, lists and tuples")
    return content


class _Budget:
    """What is left of the work that one file may ask for."""

    def __init__(self) -> None:
        self._parts = 0
        self._characters = 0

    def spend(self, parts: int, characters: int = 0) -> None:
        """Counts parts of modules; Refused if there are too many."""
        self._parts += parts
        self._characters += characters
        if self._parts > _MOST_PARTS or self._characters > _MOST_CHARACTERS:
            raise Refused(f"is not read: its modules hold more than {_MOST_PARTS:,} others, or have endless names")

    def name(self, prefix: str, name: Any) -> str:
        """A name within a module, if there may be one more."""
        if not isinstance(name, str):
            raise Refused("is not read: a module in it has a part whose name is not a string")
        self.spend(1, len(prefix) + len(name))
        return prefix + name


def _state_dict(module: Unmade, budget: _Budget) -> dict[str, Any]:
    tensors: dict[str, Any] = {}
    budget.spend(1)
    _add(tensors, module, "", 0, budget)
    return tensors


def _add(tensors: dict[str, Any], module: Unmade, prefix: str, depth: int, budget: _Budget) -> None:
    """Adds the tensors of a module and of those within it, in the order of torch's `state_dict`."""
    if depth > _DEEPEST:
        raise Refused(f"is not read: its modules are nested more than {_DEEPEST} deep, or within themselves")
    passing = module.state.get("_non_persistent_buffers_set")
    names = passing if isinstance(passing, list | tuple) else ()
    # Equal strings are compared character by character.
    budget.spend(len(names), sum(len(name) for name in names if isinstance(name, str)))
    skipped = {name for name in names if isinstance(name, str)}
    parameters, buffers, modules = (module.state[kind] for kind in _KINDS)
    for name, tensor in (*parameters.items(), *buffers.items()):
        full = budget.name(prefix, name)
        if tensor is not None and not (name in skipped and name in buffers):
            tensors[full] = tensor
    for name, child in modules.items():
        full = budget.name(prefix, name)
        if _is_module(child):
            _add(tensors, child, f"{full}.", depth + 1, budget)
        elif child is not None:
            raise Refused(f"is not read: {plain(full)} in it stands for a module, but is none")


def _is_module(value: Any) -> bool:
    return isinstance(value, Unmade) and all(isinstance(value.state.get(kind), dict) for kind in _KINDS)


def children(value: Any) -> dict[Any, Any]:
    """What a dict, or a short list or tuple, holds; nothing for any other value."""
    if isinstance(value, dict):
        return value
    is_short = isinstance(value, list | tuple) and len(value) <= _LONGEST_LIST
    return dict(enumerate(value)) if is_short else {}
