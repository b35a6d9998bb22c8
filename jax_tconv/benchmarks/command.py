"""What the command lines share: lists of names, and the bar that shows how far a run has come."""

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .layers import BadInput


def names(text: str, known: Sequence[str], what: str) -> list[str]:
    """The names in a list with commas; BadInput for one that is not known."""
    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in found:
        if name not in known:
            raise BadInput(f"unknown {what} {name!r}; known: {', '.join(known)}")
    if not found:
        raise BadInput(f"no {what} given; known: {', '.join(known)}")
    return found


def progress_bar(console: Console) -> Progress:
    """A bar on this console, or on the error stream where the output goes to a file: there it would be noise."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    shown = console if console.is_terminal else Console(stderr=True)
    return Progress(*columns, console=shown, transient=True)
