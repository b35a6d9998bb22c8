"""What the command lines share: lists of names, the contestants behind them, and a bar that shows how far a run is."""

import itertools
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from . import peers
from .contest import Settings, hold
from .layers import BadInput, Layer
from .peers import ours
from .peers.contestant import Contestant
from .results import Result


def names(text: str, known: Sequence[str], what: str) -> list[str]:
    """The names in a list with commas; BadInput for one that is not known."""
    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in found:
        if name not in known:
            raise BadInput(f"unknown {what} {name!r}; known: {', '.join(known)}")
    if not found:
        raise BadInput(f"no {what} given; known: {', '.join(known)}")
    return found


def entrants(methods: str, rivals: str) -> list[Contestant]:
    """This library's methods and its peers, two lists with commas; BadInput for a name that is not known."""
    own = ours.contestants(names(methods, ours.NAMES, "method"))
    return own + peers.find(names(rivals, tuple(peers.FILES), "peer"))


def contests(
    layers: list[Layer], modes: Sequence[str], contestants: list[Contestant], settings: Settings, console: Console
) -> Iterator[Result]:
    """Holds the contest of each mode and layer in turn, under a bar on this console."""
    pairs = list(itertools.product(modes, layers))
    with progress_bar(console) as progress:
        # A step for each contestant, one before the first round, and one after each.
        task = progress.add_task("", total=len(pairs) * (len(contestants) + 1 + settings.rounds))
        for mode, layer in pairs:

            def step(text: str, where: str = f"{layer.name} {mode}") -> None:
                progress.update(task, advance=1, description=f"{where}: {text}")

            yield hold(layer, mode, contestants, settings, step)


def progress_bar(console: Console) -> Progress:
    """A bar that is gone when all is done, and is only on a terminal."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def watched(console: Console) -> Console:
    """For what is shown while a run lasts: this console, or the error stream if a file is behind this one."""
    return console if console.is_terminal else Console(stderr=True)
