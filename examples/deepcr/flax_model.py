"""deepCR's mask network (its class `UNet2SigmoidBatchNorm`) in Flax nnx.

The attribute paths are those of the PyTorch network, so its checkpoint loads with nothing to rename but the
`module.` that PyTorch's DataParallel put in front of every name.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from jax_tconv.nnx import ConvTranspose


class DoubleConv(nnx.Module):
    """Twice a 3x3 convolution, BatchNorm and ReLU."""

    def __init__(self, in_features: int, out_features: int, *, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Sequential(
            nnx.Conv(in_features, out_features, (3, 3), padding=1, rngs=rngs),
            nnx.BatchNorm(out_features, epsilon=1e-5, momentum=0.995, rngs=rngs),
            nnx.relu,
            nnx.Conv(out_features, out_features, (3, 3), padding=1, rngs=rngs),
            nnx.BatchNorm(out_features, epsilon=1e-5, momentum=0.995, rngs=rngs),
            nnx.relu,
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class InConv(nnx.Module):
    """The first block, at full resolution."""

    def __init__(self, in_features: int, out_features: int, *, rngs: nnx.Rngs) -> None:
        self.conv = DoubleConv(in_features, out_features, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class Down(nnx.Module):
    """Halves the resolution, then a double convolution."""

    def __init__(self, in_features: int, out_features: int, *, rngs: nnx.Rngs) -> None:
        self.mpconv = nnx.Sequential(
            partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2)),
            DoubleConv(in_features, out_features, rngs=rngs),
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.mpconv(x)


class Up(nnx.Module):
    """Doubles the resolution with a transposed convolution, joins the skip connection, then a double convolution."""

    def __init__(self, in_features: int, out_features: int, *, rngs: nnx.Rngs) -> None:
        self.up = ConvTranspose(in_features, out_features, (2, 2), strides=2, rngs=rngs)
        self.conv = DoubleConv(in_features, out_features, rngs=rngs)

    def __call__(self, x: jax.Array, skip: jax.Array) -> jax.Array:
        # The order matters to the weights that follow: deepCR puts the skip connection's channels first.
        return self.conv(jnp.concatenate([skip, self.up(x)], axis=-1))


class OutConv(nnx.Module):
    """One number a pixel."""

    def __init__(self, in_features: int, out_features: int, *, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(in_features, out_features, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x)


class MaskNetwork(nnx.Module):
    """Maps images (N, H, W, 1), H and W even, to the probability that a cosmic ray hit each pixel."""

    def __init__(self, hidden: int = 32, *, rngs: nnx.Rngs) -> None:
        self.inc = InConv(1, hidden, rngs=rngs)
        self.down1 = Down(hidden, 2 * hidden, rngs=rngs)
        self.up8 = Up(2 * hidden, hidden, rngs=rngs)
        self.outc = OutConv(hidden, 1, rngs=rngs)

    def __call__(self, image: jax.Array) -> jax.Array:
        full = self.inc(image)
        return nnx.sigmoid(self.outc(self.up8(self.down1(full), full)))
