"""The first half of the demo: the DCGAN's checkpoint, drawn from by PyTorch and by Flax linen."""

import time
from pathlib import Path

import jax
import numpy as np
import torch
from matplotlib.figure import Figure
from rich.console import Console

from examples.common import (
    LAYER_LIMIT,
    NETWORK_LIMIT,
    channels_last,
    compare,
    report,
    run_torch,
    show_difference,
    time_calls,
)
from examples.dcgan import flax_model, torch_model
from jax_tconv import interop
from jax_tconv.linen import ConvTranspose

CHECKPOINT = Path(__file__).with_name("generator.pt")
ROWS = 8


def run(console: Console, output: Path) -> None:
    """Loads the generator into both frameworks, compares them layer by layer, and saves `dcgan.png`."""
    console.rule("1. DCGAN: trained in PyTorch, run in Flax (linen)", align="left")
    console.print(
        f"A generator of handwritten digits, whose four layers are all transposed convolutions, draws {ROWS**2} digits "
        "from the same latents in PyTorch and in Flax."
    )
    generator = torch_model.Generator().eval()
    generator.load_state_dict(torch.load(CHECKPOINT, weights_only=True))
    torch_latents = torch.randn(ROWS**2, torch_model.LATENT_SIZE, 1, 1, generator=torch.Generator().manual_seed(1))
    latents = jax.numpy.asarray(channels_last(torch_latents))

    twin = flax_model.Generator()
    start = time.perf_counter()
    variables, _ = interop.linen_variables(twin, interop.read(CHECKPOINT), latents)
    load = time.perf_counter() - start

    expected, expected_layers = run_torch(generator, torch_latents)
    _, state = twin.apply(
        variables,
        latents,
        capture_intermediates=lambda module, _: isinstance(module, ConvTranspose),
        mutable=["intermediates"],
    )
    layers = {name: calls["__call__"][0] for name, calls in state["intermediates"].items()}
    apply = jax.jit(twin.apply)
    flax_times = time_calls(lambda: apply(variables, latents))
    with torch.inference_mode():
        torch_times = time_calls(lambda: generator(torch_latents))
    digits = np.asarray(apply(variables, latents))

    comparisons = [compare(name, layers[name], expected_layers[name], LAYER_LIMIT) for name in expected_layers]
    comparisons.append(compare("the whole network", digits, expected, NETWORK_LIMIT))
    _draw(output / "dcgan.png", expected, digits)
    report(console, comparisons, load, flax_times, torch_times)
    console.print(f"Picture: {output / 'dcgan.png'}\n")


def _draw(path: Path, expected: np.ndarray, digits: np.ndarray) -> None:
    figure = Figure(figsize=(14, 5), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.imshow(_tile(expected), cmap="gray", vmin=-1, vmax=1)
    left.set_title("PyTorch")
    middle.imshow(_tile(digits), cmap="gray", vmin=-1, vmax=1)
    middle.set_title("Flax, from the same checkpoint and latents")
    show_difference(figure, right, _tile(digits - expected), "Flax - PyTorch", "on a grey scale from -1 to 1")
    for axes in (left, middle, right):
        axes.set_axis_off()
    figure.savefig(path, dpi=110)


def _tile(pictures: np.ndarray) -> np.ndarray:
    """Pictures (N, H, W, 1) side by side, `ROWS` in a row."""
    return np.concatenate([np.concatenate(list(row), axis=1) for row in np.split(pictures[..., 0], ROWS)])
