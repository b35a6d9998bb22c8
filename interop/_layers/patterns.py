"""Names by pattern: `*` stands for any characters, dots included."""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value")


def fits(pattern: str, name: str) -> bool:
    """Whether a name is what the pattern says."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None


def fitting(rules: Mapping[str, Value], names: Iterable[str]) -> Value | None:
    """The rule for something with these names: by a name itself, or else by the longest pattern; None if none fits."""
    names = [*names]
    found = [key for key in rules if any(fits(key, name) for name in names)]
    return rules[max(found, key=lambda key: ("*" not in key, len(key)))] if found else None
