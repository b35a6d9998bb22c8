"""deepCR's ten checkpoints: the network and the input that each was trained with."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from flax import nnx

from examples.deepcr import flax_model
from examples.deepcr.fetch import network_class


@dataclass(frozen=True)
class Checkpoint:
    """A file of `learned_models/` without its suffix, how its network differs from the usual, and what it is fed.

    `scale` divides the image; `normalise` shifts and scales it to mean 0 and deviation 1.
    """

    name: str
    in_features: int = 1
    hidden: int = 32
    levels: int = 2
    batch_norm: bool = True
    sigmoid: bool = True
    scale: float = 1
    normalise: bool = False

    def path(self, folder: Path) -> Path:
        """The file in the unpacked package."""
        return folder / "learned_models" / f"{self.name}.pth"

    @property
    def network(self) -> str:
        """The name of deepCR's PyTorch class."""
        return f"UNet{self.levels}{'Sigmoid' * self.sigmoid}{'BatchNorm' * self.batch_norm}"

    def torch_network(self, folder: Path) -> torch.nn.Module:
        """deepCR's own network with these weights, in evaluation mode."""
        with warnings.catch_warnings():
            # Where deepCR has no BatchNorm it uses weight norm, through a function that torch has deprecated since.
            warnings.simplefilter("ignore", FutureWarning)
            network = network_class(folder, self.network)(self.in_features, 1, self.hidden)
        state_dict = torch.load(self.path(folder), weights_only=True, map_location="cpu")
        network.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state_dict.items()})
        return network.eval()

    def flax_network(self) -> flax_model.UNet:
        """Its nnx twin, with initial weights, in evaluation mode."""
        network = flax_model.UNet(
            self.in_features,
            self.hidden,
            levels=self.levels,
            batch_norm=self.batch_norm,
            sigmoid=self.sigmoid,
            rngs=nnx.Rngs(0),
        )
        network.eval()
        return network

    def input(self, image: np.ndarray, hits: np.ndarray) -> np.ndarray:
        """What deepCR makes of an image (H, W) and the pixels to fill in: (1, in_features, H, W), as PyTorch has it."""
        image = image / np.float32(self.scale)
        if self.normalise:
            image = (image - image.mean()) / image.std()
        planes = [image] if self.in_features == 1 else [image * ~hits, hits.astype(np.float32)]
        return np.stack(planes)[None]


# Five of them are in deepCR's own lists (learned_models/__init__.py). Its class `deepCR` fails to load the others: it
# takes a mask's file that it does not know for a `UNet2Sigmoid`, whose weight norm has other keys, and knows no other
# inpainting network. Into the class named here each loads strictly.
_ALL = (
    Checkpoint("mask/ACS-WFC"),
    Checkpoint("mask/ACS-WFC-F435W"),
    Checkpoint("mask/ACS-WFC-F606W"),
    Checkpoint("mask/ACS-WFC-F606W-2-4", hidden=4),
    Checkpoint("mask/ACS-WFC-F814W"),
    Checkpoint("mask/decam"),
    Checkpoint("mask/example_model", scale=100),
    Checkpoint("mask/WFC3-UVIS", batch_norm=False, normalise=True),
    Checkpoint("inpaint/ACS-WFC-F606W-2-32", in_features=2, sigmoid=False),
    Checkpoint("inpaint/ACS-WFC-F606W-3-32", in_features=2, levels=3, sigmoid=False),
)
CHECKPOINTS = {checkpoint.name: checkpoint for checkpoint in _ALL}
