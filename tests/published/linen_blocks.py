"""MONAI's `Convolution` in linen, under MONAI's names: `conv`, and within `adn` the norm `N` and the activation `A`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from flax import linen as nn

import jax_tconv.linen

# PyTorch's arguments under Flax's names. The twins run in evaluation mode.
batch_norm = partial(nn.BatchNorm, use_running_average=True, momentum=0.9, epsilon=1e-5)
instance_norm = partial(nn.InstanceNorm, epsilon=1e-5)
plain_instance_norm = partial(instance_norm, use_scale=False, use_bias=False)


class NormAndActivation(nn.Module):
    """`ADN`, in the order that MONAI's networks use: norm, dropout of zero, activation."""

    norm: Callable[[], nn.Module]
    activation: Callable[[], Callable[[jax.Array], jax.Array]]

    def setup(self) -> None:
        self.N = self.norm()
        self.A = self.activation()

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.A(self.N(x))


class Convolution(nn.Module):
    """A convolution, or a transposed one, whose stride alone changes the size; then norm and activation, if any.

    `activation` makes the activation: a layer such as `nn.PReLU`, or `lambda: nn.relu`.
    """

    dims: int
    features: int
    kernel: int = 3
    stride: int = 1
    norm: Callable[[], nn.Module] | None = batch_norm
    activation: Callable[[], Any] = lambda: nn.relu
    transposed: bool = False

    def setup(self) -> None:
        size, padding = (self.kernel,) * self.dims, (self.kernel - 1) // 2
        if self.transposed:
            self.conv = jax_tconv.linen.ConvTranspose(
                self.features, size, self.stride, padding=padding, output_padding=self.stride - 1
            )
        else:
            self.conv = nn.Conv(self.features, size, self.stride, padding=padding)
        if self.norm is not None:
            self.adn = NormAndActivation(self.norm, self.activation)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.conv(x)
        return x if self.norm is None else self.adn(x)
