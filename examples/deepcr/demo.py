"""The second half of the demo: deepCR's cosmic-ray mask network, from its PyTorch checkpoint into Flax nnx."""

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from rich.console import Console

from examples.common import (
    LAYER_LIMIT,
    NETWORK_LIMIT,
    DemoError,
    compare,
    report,
    run_torch,
    show_difference,
    time_calls,
)
from examples.deepcr.checkpoints import CHECKPOINTS
from examples.deepcr.fetch import FetchError, fetch
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
    checkpoint = CHECKPOINTS["mask/ACS-WFC"]
    network = checkpoint.torch_network(folder)
    image, hits = star_field()
    torch_image, flax_image = torch.from_numpy(image)[None, None], jnp.asarray(image)[None, ..., None]

    twin = checkpoint.flax_network()
    start = time.perf_counter()
    interop.load_state_dict(twin, interop.read(checkpoint.path(folder)))
    load = time.perf_counter() - start

    expected, expected_layers = run_torch(network, torch_image)
    flax_times = time_calls(lambda: _apply(twin, flax_image))
    with torch.inference_mode():
        torch_times = time_calls(lambda: network(torch_image))
    mask = np.asarray(_apply(twin, flax_image))
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
    _convert_all(console, folder, image, hits)
    console.print(f"Picture: {output / 'deepcr.png'}\n")


@nnx.jit
def _apply(model: nnx.Module, x: jax.Array) -> jax.Array:
    return model(x)


def _convert_all(console: Console, folder: Path, image: np.ndarray, hits: np.ndarray) -> None:
    """Compares the whole network of every checkpoint that deepCR ships, and prints the largest difference."""
    comparisons = []
    for name, checkpoint in CHECKPOINTS.items():
        inputs = checkpoint.input(image, hits)
        expected, _ = run_torch(checkpoint.torch_network(folder), torch.from_numpy(inputs))
        twin = nnx.eval_shape(checkpoint.flax_network)  # shapes alone: every value comes from the checkpoint
        interop.load_state_dict(twin, interop.read(checkpoint.path(folder)))
        comparisons.append(compare(name, _apply(twin, np.moveaxis(inputs, 1, -1)), expected, NETWORK_LIMIT))
    failed = [item for item in comparisons if not item.passed]
    if failed:
        raise DemoError(f"differ too much from PyTorch: {', '.join(item.name for item in failed)}")
    worst = max(comparisons, key=lambda item: item.relative)
    console.print(
        f"All {len(comparisons)} checkpoints that deepCR ships were converted. Their outputs differ from PyTorch's by "
        f"at most {worst.relative:.1e} of the largest value ({worst.name})."
    )


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
