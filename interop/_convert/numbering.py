"""Numbered items, as of a Sequential, whose numbers differ between a state dict and a model, but not their order."""

from collections.abc import Mapping

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]


def renumbered(held: Shapes, needed: Shapes) -> tuple[dict[str, str], str]:
    """Prefixes to replace where the items of a list fit one after another under other numbers, and how these differ."""
    rules: dict[str, str] = {}
    reasons = []
    theirs, ours = _lists(held), _lists(needed)
    for name in sorted(theirs.keys() & ours.keys(), key=len):
        a, b = (dict(sorted(items.items())) for items in (theirs[name], ours[name]))
        inside = any(f"{name}.".startswith(old) for old in rules)
        fits = len(a) == len(b) and all(map(_fits, a.values(), b.values()))
        if list(a) == list(b) or inside or not fits:
            continue
        start = f"{name}." if name else ""
        rules |= {f"{start}{i}.": f"{start}{j}." for i, j in zip(a, b, strict=True) if i != j}
        reasons.append(_shift([*a], [*b]) + (f" in {name!r}" if name else ""))
    return rules, ", and ".join(dict.fromkeys(reasons))


def _lists(tensors: Shapes) -> dict[str, dict[int, dict[str, Shape]]]:
    """The tensors of each numbered item, by the list's name, the item's number, and the name within the item."""
    lists: dict[str, dict[int, dict[str, Shape]]] = {}
    for name, shape in tensors.items():
        parts = name.split(".")
        for n, part in enumerate(parts[:-1]):
            if part.isdecimal():
                items = lists.setdefault(".".join(parts[:n]), {})
                items.setdefault(int(part), {})[".".join(parts[n + 1 :])] = shape
    return lists


def _fits(theirs: Shapes, ours: Shapes) -> bool:
    """Whether an item has what the model needs of it; counters and the like may be there besides."""
    return all(theirs.get(name) == shape for name, shape in ours.items())


def _shift(theirs: list[int], ours: list[int]) -> str:
    """How the numbers of a list's items differ, in words."""
    shifts = [i - j for i, j in zip(theirs, ours, strict=True)]
    first = next(n for n, shift in enumerate(shifts) if shift)
    if len(set(shifts[first:])) > 1:
        a, b = (", ".join(map(str, numbers[:6])) + (", ..." if len(numbers) > 6 else "") for numbers in (theirs, ours))
        return f"its indices are {a} where the model's are {b}"
    amount = "one" if abs(shifts[first]) == 1 else str(abs(shifts[first]))
    return f"index shifted by {amount}" + (f" after {theirs[first - 1]}" if first else "")
