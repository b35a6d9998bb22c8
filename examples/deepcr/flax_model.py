"""deepCR's U-Nets (its classes `UNet2`, `UNet3` and their variants) in Flax nnx.

The attribute paths are those of the PyTorch networks, so their checkpoints load with nothing to rename; the `module.`
that PyTorch's DataParallel put in front of every name is taken off by the loader.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from jax_tconv.nnx import ConvTranspose


class DoubleConv(nnx.Module):
    """Twice a 3x3 convolution, BatchNorm (or none) and ReLU."""

    def __init__(self, in_features: int, out_features: int, *, batch_norm: bool, rngs: nnx.Rngs) -> None:
        layers = []
        for features in (in_features, out_features):
            layers.append(nnx.Conv(features, out_features, (3, 3), padding=1, rngs=rngs))
            if batch_norm:
                layers.append(nnx.BatchNorm(out_features, epsilon=1e-5, momentum=0.995, rngs=rngs))
            layers.append(nnx.relu)
        self.conv = nnx.Sequential(*layers)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class InConv(nnx.Module):
    """The first block, at full resolution."""

    def __init__(self, in_features: int, out_features: int, *, batch_norm: bool, rngs: nnx.Rngs) -> None:
        self.conv = DoubleConv(in_features, out_features, batch_norm=batch_norm, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class Down(nnx.Module):
    """Halves the resolution, then a double convolution."""

    def __init__(self, in_features: int, out_features: int, *, batch_norm: bool, rngs: nnx.Rngs) -> None:
        self.mpconv = nnx.Sequential(
            partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2)),
            DoubleConv(in_features, out_features, batch_norm=batch_norm, rngs=rngs),
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.mpconv(x)


class Up(nnx.Module):
    """Doubles the resolution with a transposed convolution, joins the skip connection, then a double convolution."""

    def __init__(self, in_features: int, out_features: int, *, batch_norm: bool, rngs: nnx.Rngs) -> None:
        self.up = ConvTranspose(in_features, out_features, (2, 2), strides=2, rngs=rngs)
        self.conv = DoubleConv(in_features, out_features, batch_norm=batch_norm, rngs=rngs)

    def __call__(self, x: jax.Array, skip: jax.Array) -> jax.Array:
        # The order matters to the weights that follow: deepCR puts the skip connection's channels first.
        return self.conv(jnp.concatenate([skip, self.up(x)], axis=-1))


class OutConv(nnx.Module):
    """One number a pixel."""

    def __init__(self, in_features: int, out_features: int, *, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(in_features, out_features, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class UNet(nnx.Module):
    """Maps images (N, H, W, in_features) to (N, H, W, 1): each pixel's brightness, or with `sigmoid` a probability.

    H and W must divide by two to the power of `levels - 1`; `levels` is 2 or 3.
    """

    def __init__(
        self, in_features: int, hidden: int, *, levels: int, batch_norm: bool, sigmoid: bool, rngs: nnx.Rngs
    ) -> None:
        self.levels = levels
        self.sigmoid = sigmoid
        self.inc = InConv(in_features, hidden, batch_norm=batch_norm, rngs=rngs)
        self.down1 = Down(hidden, 2 * hidden, batch_norm=batch_norm, rngs=rngs)
        if levels == 3:
            self.down2 = Down(2 * hidden, 4 * hidden, batch_norm=batch_norm, rngs=rngs)
            self.up7 = Up(4 * hidden, 2 * hidden, batch_norm=batch_norm, rngs=rngs)
        self.up8 = Up(2 * hidden, hidden, batch_norm=batch_norm, rngs=rngs)
        self.outc = OutConv(hidden, 1, rngs=rngs)

    def __call__(self, image: jax.Array) -> jax.Array:
        full = self.inc(image)
        half = self.down1(full)
        if self.levels == 3:
            half = self.up7(self.down2(half), half)
        result = self.outc(self.up8(half, full))
        return nnx.sigmoid(result) if self.sigmoid else result
