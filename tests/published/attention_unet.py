"""MONAI's AttentionUnet in 3-d, in linen.

Oktay et al., "Attention U-Net: learning where to look for the pancreas"; `monai/networks/nets/attentionunet.py`.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from tests.published.linen_blocks import Convolution, batch_norm, plain_instance_norm
from tests.published.network import Published

CHANNELS, STRIDES = (16, 32, 64, 128), (2, 2, 2)
convolution = partial(Convolution, 3)
pointwise = partial(Convolution, 3, kernel=1, norm=None)


class ConvBlock(nn.Module):
    """Two convolutions, the first of which may have a stride."""

    features: int
    stride: int = 1

    def setup(self) -> None:
        self.conv = nn.Sequential([convolution(self.features, stride=self.stride), convolution(self.features)])

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class UpConv(nn.Module):
    """A transposed convolution with norm and activation."""

    features: int
    stride: int

    def setup(self) -> None:
        self.up = convolution(self.features, stride=self.stride, transposed=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.up(x)


class AttentionBlock(nn.Module):
    """How much of the encoder's features passes, by what the decoder has."""

    features: int

    def setup(self) -> None:
        self.W_g = nn.Sequential([pointwise(self.features), batch_norm()])
        self.W_x = nn.Sequential([pointwise(self.features), batch_norm()])
        self.psi = nn.Sequential([pointwise(1), batch_norm(), nn.sigmoid])

    def __call__(self, decoded: jax.Array, encoded: jax.Array) -> jax.Array:
        return encoded * self.psi(nn.relu(self.W_g(decoded) + self.W_x(encoded)))


class AttentionLayer(nn.Module):
    """One level and all below it."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def setup(self) -> None:
        here, below = self.channels[:2]
        self.attention = AttentionBlock(here // 2)
        self.upconv = UpConv(here, self.strides[0])
        self.merge = convolution(here, norm=plain_instance_norm, activation=nn.PReLU)
        block = ConvBlock(below, self.strides[0])
        if len(self.channels) > 2:
            self.submodule = nn.Sequential([block, AttentionLayer(self.channels[1:], self.strides[1:])])
        else:
            self.submodule = block

    def __call__(self, x: jax.Array) -> jax.Array:
        decoded = self.upconv(self.submodule(x))
        return self.merge(jnp.concatenate([self.attention(decoded, x), decoded], axis=-1))


class AttentionUnet(nn.Module):
    """The twin."""

    def setup(self) -> None:
        self.model = nn.Sequential([ConvBlock(CHANNELS[0]), AttentionLayer(CHANNELS, STRIDES), pointwise(2)])

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.model(x)


def original():
    from monai.networks.nets import AttentionUnet

    return AttentionUnet(3, 1, 2, CHANNELS, STRIDES)


ATTENTION_UNET = Published("AttentionUnet, 3-d", original, (1, 1, 32, 24, 40), make_linen=AttentionUnet)
