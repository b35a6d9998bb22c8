"""The drawings for a terminal: which input rows reach which output rows, and the counts of two axes as shades."""

from collections.abc import Iterable

import numpy as np

from jax_tconv._call.geometry import Axis

from .overlap import Overlap, taps

# What is drawn of an axis and of an image: enough to see the border and the pattern beyond it.
MAX_INPUTS, MAX_ROWS, MAX_COLUMNS, BORDER = 8, 12, 32, 4
BARS = "▁▂▃▄▅▆▇█"
# No inputs, fewer than anywhere in the pattern, and three shades for the pattern's own counts.
HOLE, EDGE, SHADES = " ", "░", "▒▓█"


def wiring(axis: Axis, found: Overlap, width: int) -> str:
    """A table of input rows and output rows, with the tap that joins them, and the counts as bars.

    It is no wider than `width`, and says which rows it leaves out.
    """
    # As many output rows as a few input rows reach, but enough to see something if padding cuts these off.
    most = min(axis.output_size, max(MAX_INPUTS * axis.stride - axis.padding_low, MAX_INPUTS))
    cell = max(len(str(axis.kernel_size - 1)), len(str(min(most, width)))) + 1
    last_input = len(str(axis.input_size - 1))
    label = len("output") + 1 + last_input
    n_outputs = min(most, (width - label) // cell)
    grid = taps(axis, n_outputs)
    reaching = [number for number, row in enumerate(grid) if (row >= 0).any()]
    lines = [_line("output", range(n_outputs), label, cell)]
    for number in reaching[: 2 * MAX_INPUTS]:
        lines.append(_line(f"input {number:{last_input}}", ["" if t < 0 else t for t in grid[number]], label, cell))
    if len(reaching) > 2 * MAX_INPUTS:
        lines.append(f"... and {len(reaching) - 2 * MAX_INPUTS} more input rows")
    counts = found.counts[:n_outputs]
    largest = max(max(counts), 1)
    bars = ["" if count == 0 else BARS[(count * len(BARS) - 1) // largest] * (cell - 1) for count in counts]
    lines += [_line("inputs", counts, label, cell), _line("", bars, label, cell)]
    if n_outputs < axis.output_size:
        lines.append(f"Shown are the first {n_outputs} of {axis.output_size:,} output rows.")
    return "\n".join(line.rstrip() for line in lines)


def _line(name: str, cells: Iterable[int | str], label: int, cell: int) -> str:
    return f"{name:<{label}}" + "".join(f"{value:>{cell}}" for value in cells)


def shading(rows: Overlap, columns: Overlap, width: int) -> str:
    """The products of two axes' counts at the start of the image, as shades, with a legend, and what is left out."""
    # Two characters each, since a character is about twice as tall as it is wide.
    parts = [view(axis, most) for axis, most in ((rows, MAX_ROWS), (columns, min(MAX_COLUMNS, width // 2)))]
    counts = np.outer(*(np.array(axis.counts)[part] for axis, part in zip((rows, columns), parts, strict=True)))
    levels = np.unique(np.outer(rows.pattern, columns.pattern))
    levels = levels[levels > 0]
    picture = ["".join(_shade(count, levels) * 2 for count in row) for row in counts.tolist()]
    down, across = (f"{part.start} to {part.stop - 1}" for part in parts)
    shades: dict[str, list[int]] = {}
    for count in np.unique(counts).tolist():
        shades.setdefault(_shade(count, levels), []).append(count)
    legend = ", ".join(
        f"{'(blank)' if shade == HOLE else shade * 2} {found[0]}" + (f" to {found[-1]}" if len(found) > 1 else "")
        for shade, found in shades.items()
    )
    sizes = len(rows.counts), len(columns.counts)
    cropped = any(part.stop - part.start < size for part, size in zip(parts, sizes, strict=True))
    of = f", of {sizes[0]:,} x {sizes[1]:,}" if cropped else ""
    return "\n".join([f"output rows {down}, columns {across}{of}:", *picture, f"input pixels: {legend}"])


def view(axis: Overlap, most: int) -> slice:
    """The output rows to draw: `most`, from the start or from just before the pattern begins."""
    start = max(0, min(axis.border[0] - BORDER, len(axis.counts) - most))
    return slice(start, min(start + most, len(axis.counts)))


def _shade(count: int, levels: np.ndarray) -> str:
    if count == 0:
        return HOLE
    if not len(levels) or count < levels[0]:
        return EDGE
    rank = int(np.searchsorted(levels, count, side="right")) - 1
    # From the darkest down, so that an even pattern is dark and its border stands out.
    return SHADES[-1 - (len(levels) - 1 - rank) * len(SHADES) // len(levels)]
