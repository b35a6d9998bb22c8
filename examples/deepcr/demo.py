"""The second half of the demo: deepCR's cosmic-ray mask network, from its PyTorch checkpoint into Flax nnx."""

import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from rich.console import Console

from examples.common import LAYER_LIMIT, NETWORK_LIMIT, compare, report, run_torch, show_difference, time_calls
from examples.deepcr.fetch import FetchError, checkpoint, fetch, network_class
from examples.deepcr.flax_model import MaskNetwork
from examples.deepcr.star_field import SKY, star_field
from jax_tconv import interop


def run(console: Console, output: Path) -> None:
    """Loads deepCR into both frameworks, compares their masks, and saves `deepcr.png`; skips all if it is offline."""
    console.rule("2. deepCR: a published PyTorch checkpoint in Flax (nnx)", align="left")
    try:
        folder = fetch()
    except FetchError as error:
        console.print(f"Skipped, because deepCR could not be fetched: {error}", markup=False, soft_wrap=True)
        return
    console.print(
        "deepCR (Zhang & Bloom 2020, BSD-3-Clause) finds cosmic rays in the Hubble Space Telescope's pictures with a "
        "U-Net. The weights are the authors'; the picture here is not Hubble's but a made-up star field, so that the "
        "pixels that a cosmic ray hit are known."
    )
    path = checkpoint(folder)
    network = network_class(folder)(1, 1, 32).eval()
    state_dict = torch.load(path, weights_only=True, map_location="cpu")
    network.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state_dict.items()})
    image, hits = star_field()
    torch_image, flax_image = torch.from_numpy(image)[None, None], jnp.asarray(image)[None, ..., None]

    twin = MaskNetwork(rngs=nnx.Rngs(0))
    start = time.perf_counter()
    interop.load_state_dict(twin, interop.read(path), rename={"module.": ""})
    load = time.perf_counter() - start
    twin.eval()

    expected, expected_layers = run_torch(network, torch_image)
    apply = nnx.jit(lambda model, x: model(x))
    flax_times = time_calls(lambda: apply(twin, flax_image))
    with torch.inference_mode():
        torch_times = time_calls(lambda: network(torch_image))
    mask = np.asarray(apply(twin, flax_image))
    upsampled = twin.up8.up(twin.down1(twin.inc(flax_image)))

    comparisons = [
        compare("up8.up", upsampled, expected_layers["up8.up"], LAYER_LIMIT),
        compare("the whole network", mask, expected, NETWORK_LIMIT),
    ]
    _draw(output / "deepcr.png", image, expected[0, ..., 0], mask[0, ..., 0])
    report(console, comparisons, load, flax_times, torch_times)
    found = mask[0, ..., 0] > 0.5
    console.print(
        f"The mask holds {found[hits].mean():.0%} of the {hits.sum()} pixels that a cosmic ray hit, and "
        f"{found[~hits].mean():.2%} of the others."
    )
    console.print(f"Picture: {output / 'deepcr.png'}\n")


def _draw(path: Path, image: np.ndarray, expected: np.ndarray, mask: np.ndarray) -> None:
    figure = Figure(figsize=(11, 9.5), layout="constrained")
    (sky, torch_mask), (flax_mask, difference) = figure.subplots(2, 2)
    picture = sky.imshow(image, cmap="gray", norm=LogNorm(SKY / 2, 50 * SKY, clip=True))
    sky.set_title("a made-up exposure:\nstars are round, cosmic rays are streaks")
    figure.colorbar(picture, ax=sky, shrink=0.8, label="electrons")
    for axes, values, framework in ((torch_mask, expected, "PyTorch"), (flax_mask, mask, "Flax")):
        picture = axes.imshow(values, cmap="inferno", vmin=0, vmax=1)
        axes.set_title(f"deepCR's mask in {framework}")
        figure.colorbar(picture, ax=axes, shrink=0.8, label="probability of a cosmic ray")
    show_difference(figure, difference, mask - expected, "Flax - PyTorch", "in probability")
    for axes in (sky, torch_mask, flax_mask, difference):
        axes.set_xticks([])
        axes.set_yticks([])
    figure.savefig(path, dpi=110)
