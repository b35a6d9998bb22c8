"""The dict of tensors in what a file holds, which is often a larger dict."""

import logging
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._text import plain, printable, shortened
from .modules import DEEPEST_ENTRY, children, opened
from .pickles import Name, Unmade
from .refusal import Refused, listed
from .torch_tensors import Tensor

Leaf: TypeAlias = Tensor | NDArray[Any]

_LOG = logging.getLogger(__name__)
_MOST_CHOICES = 6
_MOST_IN_WORDS = 1_000

# What torch pickles other tensors as, and what to do about them.
_OTHER_TENSORS = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor (save its .to_dense())",
    "torch._utils._rebuild_qtensor": "a quantized tensor (save its .dequantize())",
    "torch._utils._rebuild_nested_tensor": "a nested tensor (save its .to_padded_tensor(0))",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the meta device, which has no values",
    "numpy._core.multiarray._reconstruct": "a numpy array, not a tensor (save torch.from_numpy of it)",
    "numpy.core.multiarray._reconstruct": "a numpy array, not a tensor (save torch.from_numpy of it)",
    "torch.complex32": "a complex32 tensor, which numpy has no type for (save its .to(torch.complex64))",
}


def tensors_of(content: Any, entry: str | None, path: Path) -> dict[str, Leaf]:
    """`content`, or its entry, if that is a dict of tensors, or has just one; if not, Refused, naming those that are.

    `path` is the file's, for the log.
    """
    content = opened(content)
    if entry is not None:
        content = _at(content, entry)
    if keys := _only_dict(content):
        content = _taken(content, keys, entry, path)
    if isinstance(content, dict) and all(map(_is_tensor, content.values())):
        tensors = {str(key): value for key, value in content.items() if isinstance(key, str | int)}
        if len(tensors) != len(content):
            raise Refused("holds tensors under keys that are not names, or that are the same when written as text")
        return tensors
    where = "" if entry is None else f" in its entry {entry!r}"
    raise Refused(
        _dicts_to_take(content, entry, where) or _what_is_not_unpickled(content, where) or _what_else(content, where)
    )


def _only_dict(content: Any) -> tuple[str, ...]:
    """The keys to the only dict of tensors below, apart from those of optimizers; none if there are others."""
    # A step or a best loss may be a tensor, but other tensors beside a dict could be a model's too.
    if not isinstance(content, dict) or any(_is_tensor(value) and value.shape for value in content.values()):
        return ()
    choices = _dicts_of_tensors(content, skip=_is_optimizer)
    if len(choices) != 1:
        return ()
    keys, count = choices[0]
    found = _found(content, keys)
    return keys if isinstance(found, dict) and count == len(found) else ()


def _found(content: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        content = {str(name): value for name, value in children(content).items()}[key]
    return content


def _taken(content: Any, keys: tuple[str, ...], entry: str | None, path: Path) -> Any:
    """What is at these keys, which the log says."""
    taken = _found(content, keys)
    beside = {key: value for key, value in children(content).items() if str(key) != keys[0]}
    more = f"; not read: {_items(beside)}" if beside else ""
    shown = _shown(() if entry is None else (entry,), [(keys, len(taken))])
    _LOG.info("%s: reading its only dict of tensors, %s%s", printable(str(path)), shown, more)
    return taken


def _is_optimizer(value: Any) -> bool:
    """Whether this is what the state_dict of an optimizer looks like."""
    return isinstance(value, dict) and {"state", "param_groups"} <= value.keys()


def _dicts_to_take(content: Any, entry: str | None, where: str) -> str:
    """The advice to take one of the dicts of tensors below; empty if there is none."""
    choices = _dicts_of_tensors(content)
    if not choices:
        return ""
    below = {keys[0] for keys, _ in choices}
    beside = {key: value for key, value in _others(content).items() if str(key) not in below}
    shown = _shown(() if entry is None else (entry,), choices)
    more = f". Beside them it has {_items(beside)}" if beside else ""
    return f"holds more than tensors{where}; take one of its dicts, with {shown}{more}"


def _what_is_not_unpickled(content: Any, where: str) -> str:
    """What the pickle would have called to make `content` or its items; empty if nothing."""
    values = _others(content) if isinstance(content, dict) else {"it": content}
    unmade = ((key, value) for key, value in values.items() if isinstance(value, Unmade | Name))
    names = {plain(key): value.name for key, value in islice(unmade, _MOST_IN_WORDS)}
    tensors = [f"{key} is {_OTHER_TENSORS[name]}" for key, name in names.items() if name in _OTHER_TENSORS]
    if tensors:
        return f"holds something other than plain arrays{where}: {listed(tensors)}"
    if not names:
        return ""
    return (
        f"asks for {listed(list(dict.fromkeys(map(plain, names.values()))))}{where}, but nothing except tensors is "
        "unpickled, since anything else could run code. If it is a whole pickled model, load it where its code is, and "
        "save its state_dict: torch.save(model.state_dict(), path)"
    )


def _what_else(content: Any, where: str) -> str:
    if not isinstance(content, dict):
        return f"holds no dict of tensors{where}, but {_described(content)}; save a model's state_dict"
    return f"holds more than tensors{where}: {_items(_others(content))}; save it without them"


def _others(content: Any) -> dict[Any, Any]:
    """The items that are not tensors."""
    return {key: value for key, value in children(content).items() if not _is_tensor(value)}


def _at(content: Any, entry: str) -> Any:
    """What is at a dotted path of keys. Keys may contain dots themselves: the longest one that fits is taken."""
    found = _find(content, entry)
    if found is None:
        choices = _dicts_of_tensors(content)
        flat = isinstance(content, dict) and all(map(_is_tensor, content.values()))
        advice = "its tensors are not in an entry: leave entry out" if flat else "it holds no dict of tensors"
        raise Refused(f"has no entry {entry!r}; {f'it has {_shown((), choices)}' if choices else advice}")
    return found


def _find(content: Any, entry: str) -> Any:
    named = {str(key): value for key, value in children(content).items() if isinstance(key, str | int)}
    if entry in named:
        return named[entry]
    parts = entry.split(".")
    for count in range(len(parts) - 1, 0, -1):
        found = _find(named.get(".".join(parts[:count])), ".".join(parts[count:]))
        if found is not None:
            return found
    return None


def _dicts_of_tensors(
    content: Any, skip: Callable[[Any], bool] = lambda value: False
) -> list[tuple[tuple[str, ...], int]]:
    """The keys to each dict below that has tensors, and how many it has; the fullest first. `skip` is left out."""
    found = []
    seen = {id(content)}  # a pickle may hold one dict a million times, also within itself
    queue: deque[tuple[tuple[str, ...], Any]] = deque([((), content)])
    while queue:
        keys, value = queue.popleft()
        count = sum(_is_tensor(child) for child in children(value).values())
        if keys and count and isinstance(value, dict):
            found.append((keys, count))
        for key, child in children(value).items():
            named = isinstance(key, str | int) and len(keys) < DEEPEST_ENTRY
            if named and isinstance(child, dict | list | tuple) and id(child) not in seen and not skip(child):
                seen.add(id(child))
                queue.append(((*keys, str(key)), child))
    return sorted(found, key=lambda item: -item[1])


def _shown(path: tuple[str, ...], choices: list[tuple[tuple[str, ...], int]]) -> str:
    shown = []
    for keys, count in choices[:_MOST_CHOICES]:
        name = ".".join(shortened(key, 80) for key in (*path, *keys))  # its repr can be printed, and typed
        shown.append(f"entry={name!r} ({count} tensor{'s' * (count > 1)})")
    more = len(choices) - len(shown)
    return " or ".join(shown) + (f" or one of {more} more" if more else "")


def _items(values: dict[Any, Any]) -> str:
    """The first of them in words, and how many more there are."""
    first = list(dict.fromkeys(_item(key, value) for key, value in islice(values.items(), _MOST_IN_WORDS)))
    return listed(first, besides=len(values) - _MOST_IN_WORDS)


def _item(key: Any, value: Any) -> str:
    return f"{plain(key) if isinstance(key, str | int) else 'something without a name'} ({_described(value)})"


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _described(value: Any) -> str:
    if isinstance(value, Unmade | Name):
        return plain(value.name)
    return "Tensor" if _is_tensor(value) else type(value).__name__
