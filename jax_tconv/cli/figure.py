"""The drawing in a file: on each axis which input rows reach which output rows and how many meet, and over two axes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jax_tconv.interop._files.replacing import replacing

from .axes import Explained
from .output import check_free
from .overlap import Overlap, taps
from .terminal import view

SUFFIXES = (".png", ".svg", ".pdf")
# Output rows drawn with their inputs, and rows and columns of an image.
DRAWN_OUTPUTS, DRAWN_PIXELS = 16, 32
EVEN, UNEVEN = "#2a6f97", "#e07a3f"


def check(path: Path, force: bool) -> None:
    """ValueError for a path that cannot be drawn to, ImportError if matplotlib is missing."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--draw must name a file that ends in {', '.join(SUFFIXES)}; got {path}")
    check_free("--draw", path, force)
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            "--draw needs matplotlib: pip install matplotlib, or pip install 'jax_tconv[bench]'; "
            "without --draw the drawing is in the terminal"
        ) from error


def write(path: Path, explained: Sequence[Explained], pair: tuple[Overlap, Overlap] | None) -> None:
    """Draws into a file, which is replaced when the drawing is whole."""
    with replacing(path) as whole:
        figure(explained, pair).savefig(whole, dpi=150, format=path.suffix[1:])


def figure(explained: Sequence[Explained], pair: tuple[Overlap, Overlap] | None) -> Any:
    """The matplotlib figure: two panels per axis, and below them the counts over a pair of axes."""
    from matplotlib.figure import Figure

    heights = [height for _ in explained for height in (2.2, 0.8)] + ([4.5] if pair else [])
    whole = Figure(figsize=(9, sum(heights) + 0.7 * len(heights) / 2), layout="constrained")
    panels = whole.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for one, upper, lower in zip(explained, panels[::2], panels[1::2], strict=False):
        _wiring(whole, upper, one)
        _counts(lower, one.overlap)
        lower.set_xlim(upper.get_xlim())
    if pair:
        _pixels(whole, panels[-1], *pair)
    return whole


def _wiring(whole: Any, panel: Any, one: Explained) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    axis = one.axis
    grid = taps(axis, DRAWN_OUTPUTS)
    colours = colormaps["viridis"](np.linspace(0, 0.9, axis.kernel_size))
    places: dict[int, float] = {}
    for number, row in enumerate(grid):
        outputs = np.flatnonzero(row >= 0)
        if not len(outputs):
            continue
        # Above the middle of the rows that it reaches, drawn or not.
        places[number] = outputs[0] + axis.dilation * ((axis.kernel_size - 1) / 2 - row[outputs[0]])
        for output in outputs:
            panel.plot([places[number], output], [1, 0], color=colours[row[output]], linewidth=1.5)
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": "black", "clip_on": False}
    # Padding may leave no input row at all, and matplotlib's layout fails with an empty line.
    if places:
        panel.plot(list(places.values()), [1] * len(places), **dots)
    panel.plot(range(grid.shape[1]), [0] * grid.shape[1], **dots)
    for number, place in places.items():
        panel.annotate(str(number), (place, 1), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    panel.set_xlim(min([0, *places.values()]) - 0.6, max([grid.shape[1] - 1, *places.values()]) + 0.6)
    panel.set_ylim(-0.05, 1.05)
    panel.set_yticks([0, 1], ["output row", "input row"])
    panel.set_xticks([])
    panel.set_frame_on(False)
    drawn = grid.shape[1]
    cropped = "" if drawn == axis.output_size else f"; the first {drawn} of {axis.output_size:,} output rows"
    numbers = f"kernel {axis.kernel_size}, stride {axis.stride}, padding {axis.padding_low}, dilation {axis.dilation}"
    words = f"{numbers}{one.place}: {'even' if one.overlap.even else 'uneven'}{cropped}"
    panel.set_title(words, fontsize=10, pad=16)
    norm = BoundaryNorm(np.arange(axis.kernel_size + 1) - 0.5, axis.kernel_size)
    scale = whole.colorbar(ScalarMappable(norm, ListedColormap(colours)), ax=panel, label="tap", aspect=12)
    scale.set_ticks(range(0, axis.kernel_size, math.ceil(axis.kernel_size / 8)))
    scale.minorticks_off()


def _counts(panel: Any, found: Overlap) -> None:
    counts = found.counts[:DRAWN_OUTPUTS]
    panel.bar(range(len(counts)), counts, color=EVEN if found.even else UNEVEN)
    panel.set_ylim(0, max(counts) * 1.1 or 1)
    panel.set_xticks(range(len(counts)))
    panel.set_ylabel("inputs")
    panel.yaxis.get_major_locator().set_params(integer=True)
    panel.tick_params(labelsize=8)


def _pixels(whole: Any, panel: Any, rows: Overlap, columns: Overlap) -> None:
    down, across = view(rows, DRAWN_PIXELS), view(columns, DRAWN_PIXELS)
    counts = np.outer(rows.counts[down], columns.counts[across])
    extent = (across.start - 0.5, across.stop - 0.5, down.stop - 0.5, down.start - 0.5)
    pattern = np.outer(rows.pattern, columns.pattern)
    high = int(pattern.max())
    # The pattern's counts may be close together and far from the border's: the colours go once more as far below them.
    low = max(0, 2 * int(pattern.min()) - high) if pattern.min() < high else 0
    image = panel.imshow(counts, cmap="viridis", vmin=low, vmax=high, extent=extent, interpolation="nearest")
    sizes = len(rows.counts), len(columns.counts)
    cropped = "" if counts.shape == sizes else f"; a part of {sizes[0]:,} x {sizes[1]:,}"
    panel.set_title(f"input pixels that meet in an output pixel, on the last two axes{cropped}", fontsize=10)
    scale = whole.colorbar(image, ax=panel, extend="min" if low else "neither")
    for numbered in (panel.xaxis, panel.yaxis, scale.ax.yaxis):
        numbered.get_major_locator().set_params(integer=True)
