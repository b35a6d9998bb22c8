"""What a model calls the tensors of a checkpoint: the caller's renaming, and the prefixes that wrappers leave."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

Rename: TypeAlias = Mapping[str | re.Pattern[str], str | None] | Callable[[str], str | None] | None

# What torch's wrappers put before the names of what they wrap: DataParallel, torch.compile, FSDP, activation
# checkpointing. The last three do so wherever the wrapped module is.
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")


def new_names(names: Collection[str], rename: Rename, wanted: Collection[str] | None = None) -> dict[str, str | None]:
    """The new name for each of these; None for one that is to be dropped.

    Where it is known which names are `wanted`, the prefixes of wrappers are taken off that none of these has; a name
    that the caller's rules leave as it is is then tried again.

    Raises TypeError for a `rename` of another kind, ValueError where it gives two tensors one name.
    """
    if rename is not None and not callable(rename) and not isinstance(rename, Mapping):
        raise TypeError(
            "rename must be a mapping of prefixes or of compiled regular expressions, or a function of a name, got "
            f"{type(rename).__name__}"
        )
    if isinstance(rename, Mapping):
        for key, value in rename.items():
            if not isinstance(key, str | re.Pattern) or not isinstance(value, str | None):
                raise TypeError(
                    "rename must map prefixes or compiled regular expressions to strings, or to None, got "
                    f"{key!r}: {value!r}"
                )
    starts = {name.partition(".")[0] for name in wanted or ()}
    wrappers = [] if wanted is None else [wrapper for wrapper in WRAPPERS if wrapper not in starts]
    result = {}
    given: dict[str, str] = {}
    for name in names:
        new = _renamed(name, rename)
        if new == name:
            unwrapped = _unwrapped(name, wrappers)
            new = _renamed(unwrapped, rename) if unwrapped != name and not callable(rename) else unwrapped
        elif new is not None:
            if new in given:
                raise ValueError(f"rename must keep names apart, but gives {new!r} to both {given[new]!r} and {name!r}")
            given[new] = name
            new = _unwrapped(new, wrappers)
        result[name] = new
    return result


def _renamed(name: str, rename: Rename) -> str | None:
    if rename is None:
        return name
    if callable(rename):
        new = rename(name)
        if new is not None and not isinstance(new, str):
            raise TypeError(f"rename must give a name or None, but gives {type(new).__name__} for {name!r}")
        return new
    prefixes = [key for key in rename if isinstance(key, str) and name.startswith(key)]
    if prefixes:
        longest = max(prefixes, key=len)
        start = rename[longest]
        # A prefix that is given without its dot would leave one at the front.
        return None if start is None else (start + name[len(longest) :]).removeprefix(".")
    for pattern, replacement in rename.items():
        if isinstance(pattern, re.Pattern) and pattern.search(name):
            return None if replacement is None else pattern.sub(replacement, name)
    return name


def _unwrapped(name: str, wrappers: Collection[str]) -> str:
    parts = name.split(".")
    while len(parts) > 1 and parts[0] in wrappers:
        parts = parts[1:]
    return ".".join(part for part in parts if part == WRAPPERS[0] or part not in wrappers)


def common_prefix(missing: Collection[str], unexpected: Collection[str]) -> str | None:
    """What stands before a missing name in an unexpected one: `generator.` if only `generator.up.weight` is there."""
    ends: dict[str, Any] = dict.fromkeys(missing)
    for name in unexpected:
        parts = name.split(".")
        for n in range(1, len(parts)):
            if ".".join(parts[n:]) in ends:
                return ".".join(parts[:n]) + "."
    return None
