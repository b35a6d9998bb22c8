"""The generator of `torch_model.py` in Flax linen: the same attribute names, so its checkpoint loads as it is."""

import jax
from flax import linen as nn

from jax_tconv.linen import ConvTranspose


class Generator(nn.Module):
    """Turns latents (N, 1, 1, 64) into pictures (N, 32, 32, 1) in [-1, 1]; channels last, as everywhere in Flax."""

    width: int = 32

    def setup(self) -> None:
        self.project = ConvTranspose(4 * self.width, (4, 4), use_bias=False)
        self.norm1 = nn.BatchNorm(epsilon=1e-5, momentum=0.9)
        self.up2 = ConvTranspose(2 * self.width, (4, 4), strides=2, padding=1, use_bias=False)
        self.norm2 = nn.BatchNorm(epsilon=1e-5, momentum=0.9)
        self.up3 = ConvTranspose(self.width, (4, 4), strides=2, padding=1, use_bias=False)
        self.norm3 = nn.BatchNorm(epsilon=1e-5, momentum=0.9)
        self.up4 = ConvTranspose(1, (4, 4), strides=2, padding=1)

    def __call__(self, latent: jax.Array, train: bool = False) -> jax.Array:
        x = nn.relu(self.norm1(self.project(latent), use_running_average=not train))
        x = nn.relu(self.norm2(self.up2(x), use_running_average=not train))
        x = nn.relu(self.norm3(self.up3(x), use_running_average=not train))
        return nn.tanh(self.up4(x))
