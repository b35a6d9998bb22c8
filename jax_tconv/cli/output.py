"""What commands print besides their tables: one JSON document for a program, a line for a person."""

import json
import math
import sys
from typing import Any


def note(text: str) -> None:
    """Prints a line for a person on the error stream, which leaves what a program reads alone."""
    print(f"jax-tconv: {text}", file=sys.stderr)


def show_json(document: Any) -> None:
    """Prints one JSON document; infinity and NaN, which JSON does not have, as null."""
    print(json.dumps(_finite(document), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
