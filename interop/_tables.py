"""Tables as text, no wider than the terminal."""

import io
import re
import shutil
from collections.abc import Iterable, Sequence
from itertools import chain

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ._text import printable

# Without a terminal, as in a pipe or a file.
DEFAULT_WIDTH = 80
# A terminal that is narrower wraps the lines itself.
LEAST_WIDTH = 40
MARGIN, GAP = 1, 3
# Where a long cell may be broken: after a space, and before a part of a dotted name or of a path.
_BREAKS = re.compile(r"(?<=\s)|(?<=[._/])(?=[A-Za-z])")


def terminal_width() -> int:
    """The columns to write in: COLUMNS of the environment if it is set, or the terminal's; 80 where there is none."""
    return max(shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns, LEAST_WIDTH)


def text_table(headings: Sequence[str | Sequence[str]], rows: Iterable[Sequence[str]], width: int | None = None) -> str:
    """A table as text, of at most `width` columns; `terminal_width()` if that is None.

    A heading that is a sequence stands for as many columns, which become one where the table would be too wide: the
    second cell and those after it then stand in a line below the first. Cells that are still too long are broken into
    lines. A row has one cell for each column, however the headings are grouped. Nothing is left out but the ends of
    cells that `printable` shortens.
    """
    groups = [(heading,) if isinstance(heading, str) else tuple(heading) for heading in headings]
    lines = [[printable(cell) for cell in row] for row in (list(chain(*groups)), *rows)]
    room = terminal_width() if width is None else width
    if sum(_natural(lines)) > _room(room, len(lines[0])):
        lines = [_stacked(row, groups) for row in lines]
    widths = _fitting(_natural(lines), _room(room, len(lines[0])))
    lines = [[_broken(cell, most) for cell, most in zip(row, widths, strict=True)] for row in lines]
    # Where rows have several lines, a line between them tells them apart.
    return _rendered(lines, spaced=any("\n" in cell for row in lines[1:] for cell in row))


def several(count: int, noun: str) -> str:
    """`1 layer`, `2 layers`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _room(width: int, columns: int) -> int:
    """What a table of this width has for its cells."""
    return width - 2 * MARGIN - GAP * (columns - 1)


def _natural(lines: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column."""
    return [max(cell_len(part) for cell in column for part in cell.split("\n")) for column in zip(*lines, strict=True)]


def _stacked(row: Sequence[str], groups: Sequence[tuple[str, ...]]) -> list[str]:
    """The cells of each group as one, the first above the others."""
    cells = iter(row)
    parts = [[next(cells) for _ in group] for group in groups]
    return ["\n".join(filter(None, (first, " ".join(filter(None, others))))) for first, *others in parts]


def _fitting(natural: Sequence[int], room: int) -> list[int]:
    """These widths, the largest ones cut to one size so that all fit."""
    limit = max(natural)
    while limit > 1 and sum(min(width, limit) for width in natural) > room:
        limit -= 1
    return [min(width, limit) for width in natural]


def _broken(cell: str, width: int) -> str:
    """The cell in lines of at most this width."""
    lines = []
    for part in cell.split("\n"):
        line = ""
        for piece in _BREAKS.split(part):
            if line and cell_len((line + piece).rstrip()) > width:
                lines.append(line)
                line = ""
            *full, line = chop_cells(line + piece, width) if cell_len(piece.rstrip()) > width else [line + piece]
            lines += full
        lines.append(line)
    return "\n".join(line.rstrip() for line in lines)


def _rendered(lines: Sequence[Sequence[str]], spaced: bool) -> str:
    headings, *rows = lines
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, leading=int(spaced))
    for heading in headings:
        table.add_column(Text(heading), no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(file=io.StringIO(), width=10_000, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n")
