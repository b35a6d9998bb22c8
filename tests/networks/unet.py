"""A U-Net: an encoder and a decoder joined by skip connections, BatchNorm throughout, 2x2 transposed convolutions.

The attributes are named as in the most used PyTorch implementation (milesial/Pytorch-UNet).
"""

from functools import partial

import jax
import jax.numpy as jnp
import torch
from flax import linen, nnx

import jax_tconv.linen
import jax_tconv.nnx
from tests.networks.network import Network

WIDTH = 8


class TorchDoubleConv(torch.nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.double_conv = torch.nn.Sequential(
            torch.nn.Conv2d(channels, WIDTH, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(WIDTH),
            torch.nn.ReLU(inplace=True),
            torch.nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(WIDTH),
            torch.nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class TorchDown(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.maxpool_conv = torch.nn.Sequential(torch.nn.MaxPool2d(2), TorchDoubleConv(WIDTH))

    def forward(self, x):
        return self.maxpool_conv(x)


class TorchUp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.up = torch.nn.ConvTranspose2d(WIDTH, WIDTH, 2, stride=2)
        self.conv = TorchDoubleConv(2 * WIDTH)

    def forward(self, x, skip):
        return self.conv(torch.cat([skip, self.up(x)], dim=1))


class TorchOutConv(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(WIDTH, 2, 1)

    def forward(self, x):
        return self.conv(x)


class TorchUNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inc = TorchDoubleConv(3)
        self.down1, self.down2 = TorchDown(), TorchDown()
        self.up1, self.up2 = TorchUp(), TorchUp()
        self.outc = TorchOutConv()

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        return self.outc(self.up2(self.up1(self.down2(x2), x2), x1))


class NnxDoubleConv(nnx.Module):
    def __init__(self, channels: int, rngs: nnx.Rngs):
        self.double_conv = nnx.Sequential(
            nnx.Conv(channels, WIDTH, (3, 3), padding=1, use_bias=False, rngs=rngs),
            nnx.BatchNorm(WIDTH, momentum=0.9, rngs=rngs),
            nnx.relu,
            nnx.Conv(WIDTH, WIDTH, (3, 3), padding=1, use_bias=False, rngs=rngs),
            nnx.BatchNorm(WIDTH, momentum=0.9, rngs=rngs),
            nnx.relu,
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.double_conv(x)


class NnxDown(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.maxpool_conv = nnx.Sequential(
            partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2)), NnxDoubleConv(WIDTH, rngs)
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.maxpool_conv(x)


class NnxUp(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.up = jax_tconv.nnx.ConvTranspose(WIDTH, WIDTH, (2, 2), strides=2, rngs=rngs)
        self.conv = NnxDoubleConv(2 * WIDTH, rngs)

    def __call__(self, x: jax.Array, skip: jax.Array) -> jax.Array:
        return self.conv(jnp.concatenate([skip, self.up(x)], axis=-1))


class NnxOutConv(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.conv = nnx.Conv(WIDTH, 2, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class NnxUNet(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.inc = NnxDoubleConv(3, rngs)
        self.down1, self.down2 = NnxDown(rngs), NnxDown(rngs)
        self.up1, self.up2 = NnxUp(rngs), NnxUp(rngs)
        self.outc = NnxOutConv(rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x1 = self.inc(x)
        x2 = self.down1(x1)
        return self.outc(self.up2(self.up1(self.down2(x2), x2), x1))


class LinenDoubleConv(linen.Module):
    def setup(self) -> None:
        self.double_conv = linen.Sequential(
            [
                linen.Conv(WIDTH, (3, 3), padding=1, use_bias=False),
                linen.BatchNorm(use_running_average=True, momentum=0.9),
                linen.relu,
                linen.Conv(WIDTH, (3, 3), padding=1, use_bias=False),
                linen.BatchNorm(use_running_average=True, momentum=0.9),
                linen.relu,
            ]
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.double_conv(x)


class LinenDown(linen.Module):
    def setup(self) -> None:
        self.maxpool_conv = linen.Sequential(
            [partial(linen.max_pool, window_shape=(2, 2), strides=(2, 2)), LinenDoubleConv()]
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.maxpool_conv(x)


class LinenUp(linen.Module):
    def setup(self) -> None:
        self.up = jax_tconv.linen.ConvTranspose(WIDTH, (2, 2), strides=2)
        self.conv = LinenDoubleConv()

    def __call__(self, x: jax.Array, skip: jax.Array) -> jax.Array:
        return self.conv(jnp.concatenate([skip, self.up(x)], axis=-1))


class LinenOutConv(linen.Module):
    def setup(self) -> None:
        self.conv = linen.Conv(2, (1, 1))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class LinenUNet(linen.Module):
    def setup(self) -> None:
        self.inc = LinenDoubleConv()
        self.down1, self.down2 = LinenDown(), LinenDown()
        self.up1, self.up2 = LinenUp(), LinenUp()
        self.outc = LinenOutConv()

    def __call__(self, x: jax.Array) -> jax.Array:
        x1 = self.inc(x)
        x2 = self.down1(x1)
        return self.outc(self.up2(self.up1(self.down2(x2), x2), x1))


UNET = Network(
    "unet",
    make_torch=TorchUNet,
    make_nnx=lambda: NnxUNet(nnx.Rngs(0)),
    make_linen=LinenUNet,
    input_shape=(2, 3, 16, 12),
)
