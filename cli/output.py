"""What commands print: text that keeps its width, or one JSON document."""

import json
from typing import Any


def show(text: str) -> None:
    """Prints text as it is."""
    print(text)


def show_json(document: Any) -> None:
    """Prints one JSON document."""
    print(json.dumps(document, indent=1, default=str))


def size(nbytes: int) -> str:
    """A number of bytes in words."""
    amount = float(nbytes)
    for unit in ("bytes", "KB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError
