"""What a model calls the tensors of a checkpoint: the caller's renaming, and the prefixes that wrappers leave."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

Rename: TypeAlias = Mapping[str | re.Pattern[str], str | None] | Callable[[str], str | None] | None

# What torch's wrappers put before the names of what they wrap: DataParallel, torch.compile, FSDP, activation
# checkpointing. The last three do so wherever the wrapped module is.
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")


def check_rename(rename: Rename) -> None:
    """Raises TypeError for a `rename` that has none of the known forms."""
    if rename is None or callable(rename):
        return
    if not isinstance(rename, Mapping):
        raise TypeError(
            "rename must be a mapping of prefixes or of compiled regular expressions, or a function of a name, got "
            f"{type(rename).__name__}"
        )
    for key, value in rename.items():
        if not isinstance(key, str | re.Pattern) or not isinstance(value, str | None):
            raise TypeError(
                "rename must map prefixes or compiled regular expressions to strings, or to None, got "
                f"{key!r}: {value!r}"
            )


def new_names(names: Collection[str], rename: Rename, wanted: Collection[str] | None = None) -> dict[str, str | None]:
    """The new name of each tensor, or None for one that is to be dropped.

    With `wanted`, the names that the model has, wrappers' prefixes that none of them begins with are removed too. A
    name that the caller's rules did not change is then tried again.

    Raises ValueError if `rename` gives two tensors the same name.
    """
    renamed = {name: _renamed(name, rename) for name in names}
    given: dict[str, str] = {}
    for name, new in renamed.items():
        if new is not None and new != name and given.setdefault(new, name) != name:
            raise ValueError(f"rename must keep names apart, but gives {new!r} to both {given[new]!r} and {name!r}")
    starts = {name.partition(".")[0] for name in wanted or ()}
    wrappers = () if wanted is None else tuple(wrapper for wrapper in WRAPPERS if wrapper not in starts)
    return {name: None if new is None else _unwrapped(name, new, rename, wrappers) for name, new in renamed.items()}


def _renamed(name: str, rename: Rename) -> str | None:
    if rename is None:
        return name
    if not callable(rename):
        return _replaced(name, rename)
    new = rename(name)
    if new is not None and not isinstance(new, str):
        raise TypeError(f"rename must give a name or None, but gives {type(new).__name__} for {name!r}")
    return new


def _replaced(name: str, rules: Mapping[str | re.Pattern[str], str | None]) -> str | None:
    """The name by the longest prefix that fits, or else by the first regular expression that does."""
    prefixes = [key for key in rules if isinstance(key, str) and name.startswith(key)]
    if prefixes:
        longest = max(prefixes, key=len)
        start = rules[longest]
        # A prefix that is given without its dot would leave one at the front.
        return None if start is None else (start + name[len(longest) :]).removeprefix(".")
    for pattern, replacement in rules.items():
        if isinstance(pattern, re.Pattern) and pattern.search(name):
            return None if replacement is None else pattern.sub(replacement, name)
    return name


def _unwrapped(name: str, new: str, rename: Rename, wrappers: Collection[str]) -> str | None:
    """`new` without the wrappers' prefixes; the caller's rules are tried again if they did not fit `name` with them."""
    parts = new.split(".")
    while len(parts) > 1 and parts[0] in wrappers:
        parts = parts[1:]
    unwrapped = ".".join(part for part in parts if part == WRAPPERS[0] or part not in wrappers)
    return _renamed(unwrapped, rename) if new == name and not callable(rename) else unwrapped
