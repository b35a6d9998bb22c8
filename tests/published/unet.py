"""MONAI's UNet in 2-d, with residual units, in nnx.

Kerfoot et al., "Left-Ventricle Quantification Using Residual U-Net"; `monai/networks/nets/unet.py`.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from tests.published.network import Published
from tests.published.nnx_blocks import Convolution, batch_norm

DIMS, CHANNELS, STRIDES = 2, (16, 32, 64, 128, 256), (2, 2, 2, 2)


class ResidualUnit(nnx.Module):
    """Convolutions `unit0`, `unit1` beside a convolution, or beside nothing where the input fits the output."""

    def __init__(
        self,
        features: tuple[int, int],
        stride: int = 1,
        units: int = 2,
        last_conv_only: bool = False,
        *,
        rngs: nnx.Rngs,
    ):
        given, made = features
        self.conv = nnx.Dict()
        for n in range(units):
            plain = last_conv_only and n == units - 1
            self.conv[f"unit{n}"] = Convolution(
                DIMS,
                (made if n else given, made),
                stride=1 if n else stride,
                norm=None if plain else batch_norm,
                activation=None if plain else nnx.PReLU(0.25),
                rngs=rngs,
            )
        if stride != 1:
            self.residual = nnx.Conv(given, made, (3, 3), stride, padding=1, rngs=rngs)
        elif given != made:
            self.residual = nnx.Conv(given, made, (1, 1), padding=0, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = x
        for unit in self.conv.values():
            y = unit(y)
        return y + (self.residual(x) if hasattr(self, "residual") else x)


class SkipConnection(nnx.Module):
    """What a level of the network takes, beside what the levels below make of it."""

    def __init__(self, submodule: nnx.Module):
        self.submodule = submodule

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.concatenate([x, self.submodule(x)], axis=-1)


def level(given: int, made: int, channels: tuple[int, ...], strides: tuple[int, ...], rngs: nnx.Rngs) -> nnx.Module:
    """One level and all below it: down, the next level beside a skip connection, up."""
    first, stride = channels[0], strides[0]
    if len(channels) > 2:
        below, wide = level(first, first, channels[1:], strides[1:], rngs), 2 * first
    else:
        below, wide = ResidualUnit((first, channels[1]), rngs=rngs), first + channels[1]
    up = Convolution(DIMS, (wide, made), stride=stride, activation=nnx.PReLU(0.25), transposed=True, rngs=rngs)
    top = channels == CHANNELS
    return nnx.Sequential(
        ResidualUnit((given, first), stride, rngs=rngs),
        SkipConnection(below),
        nnx.Sequential(up, ResidualUnit((made, made), units=1, last_conv_only=top, rngs=rngs)),
    )


class UNet(nnx.Module):
    """The twin."""

    def __init__(self, rngs: nnx.Rngs):
        self.model = level(1, 3, CHANNELS, STRIDES, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.model(x)


def original():
    from monai.networks.nets import UNet

    return UNet(DIMS, 1, 3, CHANNELS, STRIDES, num_res_units=2, norm="BATCH")


UNET = Published("UNet, 2-d, residual units", original, (2, 1, 96, 64), make_nnx=UNet)
