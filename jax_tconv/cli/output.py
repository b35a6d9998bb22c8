"""What commands print and write: one JSON document, prose as wide as the terminal, files that replace others whole."""

import json
import math
import os
import secrets
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from jax_tconv.interop._tables import terminal_width
from jax_tconv.interop._text import printable, printable_lines

# What an Orbax checkpoint has, whatever it holds.
ORBAX_FILE = "_CHECKPOINT_METADATA"


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
    if not os.path.lexists(path):
        if not path.absolute().parent.is_dir():
            raise ValueError(f"{option} must be in a folder that exists, and {path.parent} does not")
        return
    if not force:
        raise ValueError(f"{option} must not exist yet, but {path} does; --force replaces it")
    if path.is_dir() and not (path / ORBAX_FILE).exists():
        raise ValueError(f"{option} must not be a folder that --force would delete, but {path} is no Orbax checkpoint")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write a file or a folder under; what is there then takes the place of `path`.

    What was at `path` stays until then, and if anything is raised. A link stays a link.
    """
    path = Path(os.path.realpath(path))
    token = secrets.token_hex(4)
    # The ending says what kind of file it is.
    new, old = (path.with_name(f".{path.stem}.{token}.{which}{path.suffix}") for which in ("tmp", "old"))
    try:
        yield new
        if new.is_dir() or path.is_dir():
            # No folder can be renamed to one that is there.
            try:
                if path.exists():
                    path.rename(old)
                new.rename(path)
            except BaseException:
                if old.exists():
                    old.rename(path)
                raise
        else:
            os.replace(new, path)
    except BaseException:
        _remove(new)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def note(text: str) -> None:
    """Prints a line for a person on the error stream, which leaves what a program reads alone."""
    print(printable(f"jax-tconv: {text}"), file=sys.stderr)


def show_json(document: Any) -> None:
    """Prints one JSON document; infinity and NaN, which JSON does not have, as null."""
    print(json.dumps(_finite(document), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
