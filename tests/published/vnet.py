"""MONAI's VNet in 3-d, in nnx.

Milletari et al., "V-Net: fully convolutional neural networks for volumetric medical image segmentation";
`monai/networks/nets/vnet.py`. The dropouts, which do nothing in evaluation, are left out.
"""

import jax
import jax.numpy as jnp
from flax import nnx

import jax_tconv.nnx
from tests.published.network import Published
from tests.published.nnx_blocks import Convolution, batch_norm


def convolution(given: int, made: int, rngs: nnx.Rngs) -> Convolution:
    """A kernel of five without a bias, and batch norm."""
    return Convolution(3, (given, made), 5, use_bias=False, rngs=rngs)


class LUConv(nnx.Module):
    """A convolution and its activation."""

    def __init__(self, features: int, rngs: nnx.Rngs):
        self.conv_block = convolution(features, features, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.elu(self.conv_block(x))


def convolutions(count: int, features: int, rngs: nnx.Rngs) -> nnx.Sequential:
    return nnx.Sequential(*(LUConv(features, rngs) for _ in range(count)))


class InputTransition(nnx.Module):
    """The image, once for each channel, is added to what is made of it."""

    def __init__(self, rngs: nnx.Rngs):
        self.conv_block = convolution(1, 16, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.elu(self.conv_block(x) + jnp.tile(x, 16))


class DownTransition(nnx.Module):
    """Half the size and twice the channels."""

    def __init__(self, features: int, count: int, rngs: nnx.Rngs):
        self.down_conv = nnx.Conv(features, 2 * features, (2, 2, 2), 2, padding="VALID", use_bias=False, rngs=rngs)
        self.bn1 = batch_norm(2 * features, rngs=rngs)
        self.ops = convolutions(count, 2 * features, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        down = nnx.elu(self.bn1(self.down_conv(x)))
        return nnx.elu(self.ops(down) + down)


class UpTransition(nnx.Module):
    """Twice the size, beside the encoder's features of that size."""

    def __init__(self, given: int, made: int, count: int, rngs: nnx.Rngs):
        self.up_conv = jax_tconv.nnx.ConvTranspose(given, made // 2, (2, 2, 2), 2, rngs=rngs)
        self.bn1 = batch_norm(made // 2, rngs=rngs)
        self.ops = convolutions(count, made, rngs)

    def __call__(self, x: jax.Array, encoded: jax.Array) -> jax.Array:
        both = jnp.concatenate([nnx.elu(self.bn1(self.up_conv(x))), encoded], axis=-1)
        return nnx.elu(self.ops(both) + both)


class OutputTransition(nnx.Module):
    """From the last features to the classes."""

    def __init__(self, classes: int, rngs: nnx.Rngs):
        self.conv_block = convolution(32, classes, rngs)
        self.conv2 = nnx.Conv(classes, classes, (1, 1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv2(nnx.elu(self.conv_block(x)))


class VNet(nnx.Module):
    """The twin."""

    def __init__(self, rngs: nnx.Rngs):
        self.in_tr = InputTransition(rngs)
        self.down_tr32 = DownTransition(16, 1, rngs)
        self.down_tr64 = DownTransition(32, 2, rngs)
        self.down_tr128 = DownTransition(64, 3, rngs)
        self.down_tr256 = DownTransition(128, 2, rngs)
        self.up_tr256 = UpTransition(256, 256, 2, rngs)
        self.up_tr128 = UpTransition(256, 128, 2, rngs)
        self.up_tr64 = UpTransition(128, 64, 1, rngs)
        self.up_tr32 = UpTransition(64, 32, 1, rngs)
        self.out_tr = OutputTransition(3, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x16 = self.in_tr(x)
        x32 = self.down_tr32(x16)
        x64 = self.down_tr64(x32)
        x128 = self.down_tr128(x64)
        x = self.up_tr256(self.down_tr256(x128), x128)
        x = self.up_tr128(x, x64)
        x = self.up_tr64(x, x32)
        return self.out_tr(self.up_tr32(x, x16))


def original():
    from monai.networks.nets import VNet

    return VNet(out_channels=3)


VNET = Published("VNet, 3-d", original, (1, 1, 32, 48, 32), make_nnx=VNet)
