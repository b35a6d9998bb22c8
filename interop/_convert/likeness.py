"""Names that a state dict and a model spell in almost the same way."""

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
Prefix = tuple[str, ...]

# How alike two names are that belong together, and how much less alike any others must be; from 0 to 1.
_ALIKE, _MARGIN = 0.6, 0.1
# Where more could belong together, the names have little in common.
_MOST = 5000


def alike(held: Shapes, needed: Shapes) -> tuple[dict[str, str], str]:
    """Prefixes of unexpected names to replace by those of missing ones, where all shapes below agree, and why."""
    missing = {name: shape for name, shape in needed.items() if name not in held}
    unexpected = {name: shape for name, shape in held.items() if name not in needed}
    pairs = dict.fromkeys(_pairs(unexpected, missing))
    if len(pairs) > _MOST:
        return {}, ""
    likeness = {pair: ratio for pair in pairs if (ratio := _likeness(*pair)) >= _ALIKE}
    covered = {pair: found for pair in likeness if (found := _covered(*pair, unexpected, missing))}
    rules: dict[str, str] = {}
    for pair, names in covered.items():
        rivals = [other for other, taken in covered.items() if other != pair and not taken.isdisjoint(names)]
        if all(likeness[pair] >= likeness[rival] + _MARGIN for rival in rivals):
            old, new = (".".join((*prefix, "")) for prefix in pair)
            rules[old] = new
    if not rules:
        return {}, ""
    old, new = next(iter(rules.items()))
    if not new:
        some = "its names" if all(name.startswith(old) for name in held) else "some names"
        return rules, f"{some} begin with {old!r}, which the model's do not"
    if not old:
        return rules, f"the model's names begin with {new!r}, which these do not"
    more = f" and {len(rules) - 1} more" if len(rules) > 1 else ""
    return rules, f"{old!r} is close to the model's {new!r}{more}"


def _pairs(unexpected: Shapes, missing: Shapes) -> Iterator[tuple[Prefix, Prefix]]:
    """What stands before the longest end that an unexpected name has in common with missing ones of its shape."""
    ends: dict[tuple[Prefix, Shape], list[Prefix]] = {}
    for name, shape in missing.items():
        parts = tuple(name.split("."))
        for n in range(len(parts)):
            ends.setdefault((parts[n:], shape), []).append(parts[:n])
    for name, shape in unexpected.items():
        parts = tuple(name.split("."))
        common = next((n for n in range(len(parts)) if (parts[n:], shape) in ends), None)
        if common is not None:
            yield from ((parts[:common], prefix) for prefix in ends[parts[common:], shape])


def _covered(old: Prefix, new: Prefix, unexpected: Shapes, missing: Shapes) -> set[str]:
    """The tensors on both sides that the replacement joins; none unless it joins all below both prefixes."""
    start, end = (".".join((*prefix, "")) for prefix in (old, new))
    below = {end + name[len(start) :]: name for name in unexpected if name.startswith(start)}
    joined = {name for name, origin in below.items() if missing.get(name) == unexpected[origin]}
    wanted = {name for name in missing if name.startswith(end)} if new else joined
    return {*joined, *(f"from {below[name]}" for name in joined)} if joined == wanted else set()


def _likeness(old: Prefix, new: Prefix) -> float:
    """How alike two prefixes are; one that is only there on one side is as good as the same name."""
    if not old or not new:
        return 1.0
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    a, b = ("".join(re.findall("[a-z0-9]", ".".join(prefix[same:]).lower())) for prefix in (old, new))
    if not a or not b or re.findall(r"\d+", a) != re.findall(r"\d+", b):
        return 0.0
    short, long = sorted((a, b), key=len)
    rest = iter(long)
    abbreviated = short[0] == long[0] and all(letter in rest for letter in short)
    return max(difflib.SequenceMatcher(None, a, b).ratio(), 0.75 if abbreviated else 0.0)
