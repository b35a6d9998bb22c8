"""The U-Nets of `flax_model.py` in Flax linen; where nothing else is said, it is as there."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from jax_tconv.linen import ConvTranspose


class DoubleConv(nn.Module):
    features: int
    batch_norm: bool

    def setup(self) -> None:
        layers = []
        for _ in range(2):
            layers.append(nn.Conv(self.features, (3, 3), padding=1))
            if self.batch_norm:
                layers.append(nn.BatchNorm(use_running_average=True, epsilon=1e-5, momentum=0.995))
            layers.append(nn.relu)
        self.conv = nn.Sequential(layers)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class InConv(nn.Module):
    features: int
    batch_norm: bool

    def setup(self) -> None:
        self.conv = DoubleConv(self.features, self.batch_norm)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class Down(nn.Module):
    features: int
    batch_norm: bool

    def setup(self) -> None:
        halve = partial(nn.max_pool, window_shape=(2, 2), strides=(2, 2))
        self.mpconv = nn.Sequential([halve, DoubleConv(self.features, self.batch_norm)])

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.mpconv(x)


class Up(nn.Module):
    features: int
    batch_norm: bool

    def setup(self) -> None:
        self.up = ConvTranspose(self.features, (2, 2), strides=2)
        self.conv = DoubleConv(self.features, self.batch_norm)

    def __call__(self, x: jax.Array, skip: jax.Array) -> jax.Array:
        return self.conv(jnp.concatenate([skip, self.up(x)], axis=-1))


class OutConv(nn.Module):
    def setup(self) -> None:
        self.conv = nn.Conv(1, (1, 1))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class UNet(nn.Module):
    """For inference: BatchNorm uses what the checkpoint brings."""

    hidden: int
    levels: int
    batch_norm: bool
    sigmoid: bool

    def setup(self) -> None:
        self.inc = InConv(self.hidden, self.batch_norm)
        self.down1 = Down(2 * self.hidden, self.batch_norm)
        if self.levels == 3:
            self.down2 = Down(4 * self.hidden, self.batch_norm)
            self.up7 = Up(2 * self.hidden, self.batch_norm)
        self.up8 = Up(self.hidden, self.batch_norm)
        self.outc = OutConv()

    def __call__(self, image: jax.Array) -> jax.Array:
        full = self.inc(image)
        half = self.down1(full)
        if self.levels == 3:
            half = self.up7(self.down2(half), half)
        result = self.outc(self.up8(half, full))
        return nn.sigmoid(result) if self.sigmoid else result
