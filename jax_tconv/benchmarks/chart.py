"""The ratios to torch as a picture: a bar for each layer and mode, on a logarithmic axis around 1."""

from pathlib import Path

from matplotlib.figure import Figure

from .machine import Machine
from .results import Result, summarise

COLOURS = {"forward": "#2a6f97", "training": "#e07a3f"}
BAR = 0.38


def draw(results: list[Result], machine: Machine, path: Path) -> None:
    """Writes the chart; the results must hold at least one ratio."""
    layers = list(dict.fromkeys(result.layer.name for result in results))
    modes = list(dict.fromkeys(result.mode for result in results))
    found = [ratio for result in results if (ratio := result.ratio("torch"))]
    figure = Figure(figsize=(9, 1.8 + 0.36 * len(layers)), layout="constrained")
    axes = figure.subplots()
    for number, mode in enumerate(modes):
        of_mode = [result for result in results if result.mode == mode]
        ratios = {result.layer.name: ratio for result in of_mode if (ratio := result.ratio("torch"))}
        if not ratios:
            continue
        offset = (number - (len(modes) - 1) / 2) * BAR
        positions = [layers.index(name) + offset for name in ratios]
        # Bars start at 1: to the left is faster than torch.
        lengths = [ratio - 1 for ratio in ratios.values()]
        label = f"{mode}, geometric mean {summarise(of_mode, machine).geomean:.2f}"
        bars = axes.barh(positions, lengths, BAR * 0.92, left=1, color=COLOURS[mode], label=label)
        numbers = [f"{ratio:.2f}" for ratio in ratios.values()]
        axes.bar_label(bars, numbers, padding=2, fontsize=7, color=COLOURS[mode])
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(layers)), layers)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    # Room for the numbers at the ends of the bars.
    left, right = min(0.4, min(found) / 1.5), max(2.5, max(found) * 1.5)
    axes.set_xlim(left, right)
    ticks = [tick for tick in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if left <= tick <= right]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    versions = machine.versions
    axes.set_xlabel("time over torch's, the better of its layouts (left of 1: faster than torch)")
    device = machine.device if machine.backend != "cpu" else f"{machine.cpu}, {machine.cores} cores"
    axes.set_title(f"jax_tconv and torch {versions['torch']}, float32, jax {versions['jax']}\n{device}", fontsize=10)
    figure.legend(loc="outside lower center", ncols=len(modes), frameon=False)
    figure.savefig(path, dpi=150)
