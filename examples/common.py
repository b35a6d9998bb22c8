"""What both halves of the demo share: running PyTorch, comparing, timing, and showing the results."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

LAYER_LIMIT = 1e-5
NETWORK_LIMIT = 1e-4


class DemoError(Exception):
    """An output of the Flax network is further from PyTorch's than its limit allows."""


@dataclass(frozen=True)
class Comparison:
    """The largest difference between two arrays; `relative` is that divided by PyTorch's largest magnitude."""

    name: str
    shape: tuple[int, ...]
    absolute: float
    relative: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the relative difference is within the limit; NaN is not."""
        return self.relative <= self.limit


@dataclass(frozen=True)
class Times:
    """Seconds: the first call, which for a jitted function compiles it, and the median of the later ones."""

    first: float
    median: float


def compare(name: str, ours: Any, reference: np.ndarray, limit: float) -> Comparison:
    """Compares an output of the Flax network with PyTorch's, both channels last."""
    ours = np.asarray(ours)
    if ours.shape != reference.shape:
        raise DemoError(f"{name}: the output has shape {ours.shape}, PyTorch's {reference.shape}")
    absolute = float(np.abs(ours - reference).max())
    return Comparison(name, ours.shape, absolute, absolute / float(np.abs(reference).max()), limit)


def channels_last(tensor: torch.Tensor) -> np.ndarray:
    """A PyTorch tensor (N, C, H, W) as an array (N, H, W, C)."""
    return tensor.detach().movedim(1, -1).numpy()


def run_torch(network: torch.nn.Module, inputs: torch.Tensor) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The network's output, and by name the output of every transposed convolution in it; all channels last."""
    layers: dict[str, np.ndarray] = {}
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: layers.update({name: channels_last(output)}))
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.ConvTranspose2d)
    ]
    with torch.inference_mode():
        output = channels_last(network(inputs))
    for hook in hooks:
        hook.remove()
    return output, layers


def time_calls(function: Callable[[], Any], repeats: int = 21) -> Times:
    """Times a function that returns a JAX array or a PyTorch tensor."""
    seconds = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        seconds.append(time.perf_counter() - start)
    return Times(seconds[0], statistics.median(seconds[1:]))


def report(console: Console, comparisons: Sequence[Comparison], load: float, flax: Times, pytorch: Times) -> None:
    """Prints the differences and the times; raises DemoError if a difference exceeds its limit."""
    table = Table("output of", "shape", "max difference", "relative", "limit")
    for item in comparisons:
        shape = " x ".join(map(str, item.shape))
        mark = "green" if item.passed else "bold red"
        relative = f"[{mark}]{item.relative:.1e}[/]"
        table.add_row(item.name, shape, f"{item.absolute:.1e}", relative, f"{item.limit:.0e}")
    console.print(table)
    times = Table("load into Flax", "first jitted call", "later ones, median", "PyTorch, median")
    times.add_row(*(f"{seconds * 1e3:.1f} ms" for seconds in (load, flax.first, flax.median, pytorch.median)))
    console.print(times)
    failed = [item for item in comparisons if not item.passed]
    if failed:
        names = ", ".join(f"{item.name} ({item.relative:.1e}, limit {item.limit:.0e})" for item in failed)
        raise DemoError(f"differs too much from PyTorch: {names}")


def show_difference(figure: Figure, axes: Axes, difference: np.ndarray, title: str, unit: str) -> None:
    """Draws a difference on a scale of its own, which says how small it is."""
    largest = float(np.abs(difference).max())
    scale = largest or 1.0
    picture = axes.imshow(difference, cmap="RdBu_r", vmin=-scale, vmax=scale)
    axes.set_title(f"{title}\nlargest: {largest:.1e} {unit}")
    bar = figure.colorbar(picture, ax=axes, ticks=[-scale, 0, scale], shrink=0.8)
    bar.ax.set_yticklabels([f"{-scale:.1e}", "0", f"{scale:.1e}"])
