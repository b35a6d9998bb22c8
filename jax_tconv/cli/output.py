"""What commands print and write: one JSON document, prose as wide as the terminal; and where they may write."""

import json
import math
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from jax_tconv.interop._files.orbax_files import is_orbax
from jax_tconv.interop._files.replacing import reported
from jax_tconv.interop._tables import terminal_width
from jax_tconv.interop._text import printable, printable_lines


def say(text: str, indent: int = 0) -> None:
    """Prints a paragraph; its lines after the first are indented two columns further. Names are not broken."""
    margin = " " * indent
    lines = textwrap.wrap(
        printable(text),
        terminal_width(),
        initial_indent=margin,
        subsequent_indent=margin + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    print("\n".join(lines))


def show(text: str) -> None:
    """Prints text that has its own lines, as a table has."""
    print(printable_lines(text))


def heading(text: str) -> None:
    """Prints a line in bold, after an empty one."""
    Console(markup=False, highlight=False).print(f"\n{text}", style="bold", soft_wrap=True)


def check_free(option: str, path: Path, force: bool) -> None:
    """ValueError if nothing can be written at `path`, or if there is something that must not be overwritten.

    `option` is what the user knows the path by. With `force` a file may be, and a folder if it is an Orbax checkpoint;
    never another folder, whatever it holds.
    """
    with reported(path):
        try:
            path.lstat()  # which says so if the name is too long, or the folder may not be searched
        except (FileNotFoundError, NotADirectoryError):
            if not path.absolute().parent.is_dir():
                raise ValueError(f"{option} must be in a folder that exists, and {path.parent} does not") from None
            return
        is_folder = path.is_dir()
    if not force:
        raise ValueError(f"{option} must not exist yet, but {path} does; --force replaces it")
    if is_folder and not is_orbax(path):
        raise ValueError(f"{option} must not be a folder that --force would delete, but {path} is no Orbax checkpoint")


def note(text: str) -> None:
    """Prints a line for a person on the error stream, which leaves what a program reads alone."""
    print(printable(f"jax-tconv: {text}"), file=sys.stderr)


def show_json(document: dict[str, Any]) -> None:
    """Prints one JSON document, two levels of which have lines; infinity and NaN, which JSON does not have, as null."""
    sys.stdout.writelines(_in_lines(document, levels=2))
    print()


def _in_lines(value: Any, levels: int, margin: str = "") -> Iterator[str]:
    """The parts of a value as JSON. Lines for all levels take seconds, since only Python's own encoder makes them."""
    if not levels or not value or not isinstance(value, dict | list):
        yield _as_json(value)
        return
    first, last = "{}" if isinstance(value, dict) else "[]"
    line = f"\n{margin} "
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield first + line + (f"{_as_json(str(key))}: " if isinstance(value, dict) else "")
        yield from _in_lines(item, levels - 1, margin + " ")
        first = ","
    yield f"\n{margin}{last}"


_encode = json.JSONEncoder(allow_nan=False).encode


def _as_json(value: Any) -> str:
    try:
        return _encode(value)
    except ValueError:
        return _encode(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
