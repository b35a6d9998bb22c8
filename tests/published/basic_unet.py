"""MONAI's BasicUNet in 3-d, in linen.

Falk et al., "U-Net: deep learning for cell counting, detection, and morphometry"; `monai/networks/nets/basic_unet.py`.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

import jax_tconv.linen
from tests.published.linen_blocks import Convolution, instance_norm
from tests.published.network import Published

FEATURES = (32, 32, 64, 128, 256, 32)


class TwoConv(nn.Module):
    """Two convolutions, each with norm and activation."""

    features: int

    def setup(self) -> None:
        convolution = partial(
            Convolution, 3, norm=instance_norm, activation=lambda: partial(nn.leaky_relu, negative_slope=0.1)
        )
        self.conv_0 = convolution(self.features)
        self.conv_1 = convolution(self.features)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv_1(self.conv_0(x))


class Down(nn.Module):
    """Half the size, then two convolutions."""

    features: int

    def setup(self) -> None:
        self.convs = TwoConv(self.features)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.convs(nn.max_pool(x, (2, 2, 2), (2, 2, 2)))


class UpSample(nn.Module):
    """A transposed convolution of twice the size."""

    features: int

    def setup(self) -> None:
        self.deconv = jax_tconv.linen.ConvTranspose(self.features, (2, 2, 2), 2)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.deconv(x)


class UpCat(nn.Module):
    """Twice the size, beside the encoder's features of that size, then two convolutions."""

    upsampled: int
    features: int

    def setup(self) -> None:
        self.upsample = UpSample(self.upsampled)
        self.convs = TwoConv(self.features)

    def __call__(self, x: jax.Array, encoded: jax.Array) -> jax.Array:
        x = self.upsample(x)
        # An odd size was halved with its last row left out, which is now that of the row before.
        missing = [(0, wanted - size) for wanted, size in zip(encoded.shape[1:-1], x.shape[1:-1], strict=True)]
        x = jnp.pad(x, [(0, 0), *missing, (0, 0)], mode="edge")
        return self.convs(jnp.concatenate([encoded, x], axis=-1))


class BasicUNet(nn.Module):
    """The twin."""

    def setup(self) -> None:
        f = FEATURES
        self.conv_0 = TwoConv(f[0])
        self.down_1, self.down_2, self.down_3, self.down_4 = (Down(f[n]) for n in range(1, 5))
        self.upcat_4 = UpCat(f[4] // 2, f[3])
        self.upcat_3 = UpCat(f[3] // 2, f[2])
        self.upcat_2 = UpCat(f[2] // 2, f[1])
        self.upcat_1 = UpCat(f[1], f[5])
        self.final_conv = nn.Conv(2, (1, 1, 1))

    def __call__(self, x: jax.Array) -> jax.Array:
        x0 = self.conv_0(x)
        x1 = self.down_1(x0)
        x2 = self.down_2(x1)
        x3 = self.down_3(x2)
        x = self.upcat_4(self.down_4(x3), x3)
        x = self.upcat_3(x, x2)
        x = self.upcat_2(x, x1)
        return self.final_conv(self.upcat_1(x, x0))


def original():
    from monai.networks.nets import BasicUNet

    return BasicUNet(features=FEATURES)


BASIC_UNET = Published("BasicUNet, 3-d, instance norm", original, (1, 1, 32, 36, 48), make_linen=BasicUNet)
