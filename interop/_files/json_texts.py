"""JSON from strangers: a few bytes of it can become large objects."""

from collections import Counter
from typing import Any

from .._text import plain
from .refusal import Refused

MOST_TEXT = 24 * 2**20


def is_endless(text: bytes, brackets: int, parts: int) -> bool:
    """Whether a text is too long to be parsed, or has more lists and dicts, or more items in them, than it may."""
    # A single emoji makes Python take four bytes for every character.
    length = len(text) * (1 if text.isascii() else 4)
    return (
        length > MOST_TEXT
        or text.count(b"[") + text.count(b"{") > brackets
        or text.count(b",") + text.count(b":") > parts
    )


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads`: a dict of pairs whose keys all differ."""
    result = dict(pairs)
    if len(result) != len(pairs):
        [(often, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise Refused(f"is broken: it has {plain(often)} twice")
    return result
