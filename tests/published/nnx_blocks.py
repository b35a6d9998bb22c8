"""MONAI's `Convolution` in nnx, under MONAI's names: `conv`, and within `adn` the norm `N` and the activation `A`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from flax import nnx

import jax_tconv.nnx

Activation = Callable[[jax.Array], jax.Array]
# PyTorch's arguments under Flax's names.
batch_norm = partial(nnx.BatchNorm, momentum=0.9, epsilon=1e-5)


class NormAndActivation(nnx.Module):
    """`ADN`, in the order that MONAI's networks use: norm, dropout of zero, activation."""

    def __init__(self, norm: nnx.Module, activation: Activation | None):
        self.N = norm
        self.A = activation

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.N(x)
        return x if self.A is None else self.A(x)


class Convolution(nnx.Module):
    """A convolution, or a transposed one, whose stride alone changes the size; then norm and activation, if any."""

    def __init__(
        self,
        dims: int,
        features: tuple[int, int],
        kernel: int = 3,
        stride: int = 1,
        *,
        norm: Callable[..., nnx.Module] | None = batch_norm,
        activation: Activation | None = None,
        transposed: bool = False,
        use_bias: bool = True,
        rngs: nnx.Rngs,
    ):
        arguments: dict[str, Any] = {
            "strides": stride,
            "padding": (kernel - 1) // 2,
            "use_bias": use_bias,
            "rngs": rngs,
        }
        if transposed:
            self.conv = jax_tconv.nnx.ConvTranspose(*features, (kernel,) * dims, output_padding=stride - 1, **arguments)
        else:
            self.conv = nnx.Conv(*features, (kernel,) * dims, **arguments)
        if norm is not None:
            self.adn = NormAndActivation(norm(features[1], rngs=rngs), activation)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.conv(x)
        return self.adn(x) if hasattr(self, "adn") else x
