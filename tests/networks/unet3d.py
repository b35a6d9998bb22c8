"""A 3-d U-Net: GroupNorm before each convolution, upsampling to the size of the encoder's features.

The attributes are named as in wolny/pytorch-3dunet (pytorch3dunet/unet3d/buildingblocks.py); there is one level.
"""

from collections import OrderedDict

import jax
import jax.numpy as jnp
import torch
from flax import linen, nnx

import jax_tconv.linen
import jax_tconv.nnx
from tests.networks.network import Network

WIDTH = 4
GROUPS = 2


class TorchDoubleConv(torch.nn.Sequential):
    def __init__(self, channels: int):
        super().__init__()
        for name, given in (("SingleConv1", channels), ("SingleConv2", WIDTH)):
            layers = OrderedDict(
                groupnorm=torch.nn.GroupNorm(GROUPS if given > 1 else 1, given),
                conv=torch.nn.Conv3d(given, WIDTH, 3, padding=1, bias=False),
                ReLU=torch.nn.ReLU(inplace=True),
            )
            self.add_module(name, torch.nn.Sequential(layers))


class TorchEncoder(torch.nn.Module):
    def __init__(self, channels: int, pool: bool):
        super().__init__()
        self.pooling = torch.nn.MaxPool3d(2) if pool else None
        self.basic_module = TorchDoubleConv(channels)

    def forward(self, x):
        return self.basic_module(x if self.pooling is None else self.pooling(x))


class TorchUpsampling(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_transposed = torch.nn.ConvTranspose3d(WIDTH, WIDTH, 3, stride=2, padding=1, bias=False)

    def forward(self, x, size):
        return self.conv_transposed(x, output_size=size)


class TorchDecoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.upsampling = TorchUpsampling()
        self.basic_module = TorchDoubleConv(2 * WIDTH)

    def forward(self, features, x):
        x = self.upsampling(x, features.shape[2:])
        return self.basic_module(torch.cat([features, x], dim=1))


class TorchUNet3d(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoders = torch.nn.ModuleList([TorchEncoder(1, False), TorchEncoder(WIDTH, True)])
        self.decoders = torch.nn.ModuleList([TorchDecoder()])
        self.final_conv = torch.nn.Conv3d(WIDTH, 2, 1)

    def forward(self, x):
        features = self.encoders[0](x)
        return self.final_conv(self.decoders[0](features, self.encoders[1](features)))


class NnxSingleConv(nnx.Module):
    def __init__(self, channels: int, rngs: nnx.Rngs):
        self.groupnorm = nnx.GroupNorm(
            channels, GROUPS if channels > 1 else 1, epsilon=1e-5, use_fast_variance=False, rngs=rngs
        )
        self.conv = nnx.Conv(channels, WIDTH, (3, 3, 3), padding=1, use_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.relu(self.conv(self.groupnorm(x)))


class NnxDoubleConv(nnx.Module):
    def __init__(self, channels: int, rngs: nnx.Rngs):
        self.SingleConv1 = NnxSingleConv(channels, rngs)
        self.SingleConv2 = NnxSingleConv(WIDTH, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.SingleConv2(self.SingleConv1(x))


class NnxEncoder(nnx.Module):
    def __init__(self, channels: int, pool: bool, rngs: nnx.Rngs):
        self.pool = pool
        self.basic_module = NnxDoubleConv(channels, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.basic_module(nnx.max_pool(x, (2, 2, 2), (2, 2, 2)) if self.pool else x)


class NnxUpsampling(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.conv_transposed = jax_tconv.nnx.ConvTranspose(
            WIDTH, WIDTH, (3, 3, 3), strides=2, padding=1, use_bias=False, rngs=rngs
        )

    def __call__(self, x: jax.Array, size: tuple[int, ...]) -> jax.Array:
        return self.conv_transposed(x, output_size=size)


class NnxDecoder(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.upsampling = NnxUpsampling(rngs)
        self.basic_module = NnxDoubleConv(2 * WIDTH, rngs)

    def __call__(self, features: jax.Array, x: jax.Array) -> jax.Array:
        x = self.upsampling(x, features.shape[1:4])
        return self.basic_module(jnp.concatenate([features, x], axis=-1))


class NnxUNet3d(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.encoders = nnx.List([NnxEncoder(1, False, rngs), NnxEncoder(WIDTH, True, rngs)])
        self.decoders = nnx.List([NnxDecoder(rngs)])
        self.final_conv = nnx.Conv(WIDTH, 2, (1, 1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        features = self.encoders[0](x)
        return self.final_conv(self.decoders[0](features, self.encoders[1](features)))


class LinenSingleConv(linen.Module):
    groups: int

    def setup(self) -> None:
        self.groupnorm = linen.GroupNorm(self.groups, epsilon=1e-5, use_fast_variance=False)
        self.conv = linen.Conv(WIDTH, (3, 3, 3), padding=1, use_bias=False)

    def __call__(self, x: jax.Array) -> jax.Array:
        return linen.relu(self.conv(self.groupnorm(x)))


class LinenDoubleConv(linen.Module):
    groups: int = GROUPS

    def setup(self) -> None:
        self.SingleConv1 = LinenSingleConv(self.groups)
        self.SingleConv2 = LinenSingleConv(GROUPS)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.SingleConv2(self.SingleConv1(x))


class LinenEncoder(linen.Module):
    pool: bool

    def setup(self) -> None:
        self.basic_module = LinenDoubleConv(GROUPS if self.pool else 1)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.basic_module(linen.max_pool(x, (2, 2, 2), (2, 2, 2)) if self.pool else x)


class LinenUpsampling(linen.Module):
    def setup(self) -> None:
        self.conv_transposed = jax_tconv.linen.ConvTranspose(WIDTH, (3, 3, 3), strides=2, padding=1, use_bias=False)

    def __call__(self, x: jax.Array, size: tuple[int, ...]) -> jax.Array:
        return self.conv_transposed(x, output_size=size)


class LinenDecoder(linen.Module):
    def setup(self) -> None:
        self.upsampling = LinenUpsampling()
        self.basic_module = LinenDoubleConv()

    def __call__(self, features: jax.Array, x: jax.Array) -> jax.Array:
        x = self.upsampling(x, features.shape[1:4])
        return self.basic_module(jnp.concatenate([features, x], axis=-1))


class LinenUNet3d(linen.Module):
    def setup(self) -> None:
        self.encoders = [LinenEncoder(pool=False), LinenEncoder(pool=True)]
        self.decoders = [LinenDecoder()]
        self.final_conv = linen.Conv(2, (1, 1, 1))

    def __call__(self, x: jax.Array) -> jax.Array:
        features = self.encoders[0](x)
        return self.final_conv(self.decoders[0](features, self.encoders[1](features)))


UNET3D = Network(
    "unet3d",
    make_torch=TorchUNet3d,
    make_nnx=lambda: NnxUNet3d(nnx.Rngs(0)),
    make_linen=LinenUNet3d,
    input_shape=(1, 1, 6, 8, 4),
    pairs_by_order=False,
)
