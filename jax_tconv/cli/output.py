"""What commands print for a program to read: one JSON document."""

import json
import math
from typing import Any


def show_json(document: Any) -> None:
    """Prints one JSON document; infinity and NaN, which JSON does not have, as null."""
    print(json.dumps(_finite(document), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
