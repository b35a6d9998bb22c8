"""Messages of the library as a user of the command line types them: its arguments as options."""

import ast
import re
import shlex
from typing import Any

from jax_tconv.interop._text import printable

_ARGUMENT = re.compile(r"""\b(rename|flatten|layouts|axes|match|entry|downcast)=(\{[^{}]*\}|'[^']*'|"[^"]*"|True)""")


def as_options(text: str) -> str:
    """`text` with `rename={'a.': 'b.'}` and the like as `--rename a.=b.`."""
    text = re.sub(r"\bexample_inputs\b", "--input", text)
    return _ARGUMENT.sub(lambda found: _option(found[1], found[2]) or found[0], text)


def _option(name: str, literal: str) -> str:
    """One argument as options; empty for a value that is not written out."""
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # a name in a file may look like this
        return ""
    if value is True:
        return f"--{name}"
    items = value.items() if isinstance(value, dict) else [(None, value)]
    # What is not printable in a name cannot be typed so, and a newline in one must not look like another line.
    return " ".join(printable(_one("layout" if name == "layouts" else name, key, item)) for key, item in items)


def _one(name: str, key: str | None, value: Any) -> str:
    if value is None:
        return f"--drop {shlex.quote(str(key))}"
    text = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return f"--{name} {shlex.quote(text if key is None else f'{key}={text}')}"
