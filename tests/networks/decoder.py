"""A decoder of grouped, depthwise and dilated layers, two of them under spectral norm, and a Linear after a flatten."""

from functools import partial

import jax
import torch
from flax import linen, nnx

import jax_tconv.linen
import jax_tconv.nnx
from tests.networks.network import Network, Parametrize, no_norm

WIDTH = 8
FEATURES = (14, 10, WIDTH)  # rows, columns and channels of what is flattened


class TorchDecoder(torch.nn.Module):
    def __init__(self, norm: Parametrize):
        super().__init__()
        transposed = torch.nn.ConvTranspose2d
        # Spectral norm folds over dim 1 of the one and over dim 0 of the other.
        self.project = norm(transposed(WIDTH, WIDTH, 4, stride=2, padding=1))
        self.grouped = transposed(WIDTH, WIDTH, 4, stride=2, padding=2, output_padding=1, dilation=2, groups=2)
        self.depthwise = transposed(WIDTH, WIDTH, 3, stride=2, padding=1, output_padding=1, groups=WIDTH)
        self.smooth = norm(torch.nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=2, dilation=2, groups=4))
        self.head = torch.nn.Linear(FEATURES[0] * FEATURES[1] * FEATURES[2], 5)

    def forward(self, x):
        for layer in (self.project, self.grouped, self.depthwise, self.smooth):
            x = torch.nn.functional.leaky_relu(layer(x), 0.2)
        return self.head(x.flatten(1))


class NnxDecoder(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        transposed = partial(jax_tconv.nnx.ConvTranspose, WIDTH, WIDTH, strides=2, rngs=rngs)
        self.project = transposed((4, 4), padding=1)
        self.grouped = transposed((4, 4), padding=2, output_padding=1, kernel_dilation=2, feature_group_count=2)
        self.depthwise = transposed((3, 3), padding=1, output_padding=1, feature_group_count=WIDTH)
        self.smooth = nnx.Conv(
            WIDTH, WIDTH, (3, 3), strides=2, padding=2, kernel_dilation=2, feature_group_count=4, rngs=rngs
        )
        self.head = nnx.Linear(FEATURES[0] * FEATURES[1] * FEATURES[2], 5, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in (self.project, self.grouped, self.depthwise, self.smooth):
            x = nnx.leaky_relu(layer(x), 0.2)
        return self.head(x.reshape(len(x), -1))


class LinenDecoder(linen.Module):
    def setup(self) -> None:
        transposed = partial(jax_tconv.linen.ConvTranspose, WIDTH, strides=2)
        self.project = transposed((4, 4), padding=1)
        self.grouped = transposed((4, 4), padding=2, output_padding=1, kernel_dilation=2, feature_group_count=2)
        self.depthwise = transposed((3, 3), padding=1, output_padding=1, feature_group_count=WIDTH)
        self.smooth = linen.Conv(WIDTH, (3, 3), strides=2, padding=2, kernel_dilation=2, feature_group_count=4)
        self.head = linen.Dense(5)

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in (self.project, self.grouped, self.depthwise, self.smooth):
            x = linen.leaky_relu(layer(x), 0.2)
        return self.head(x.reshape(len(x), -1))


def decoder(name: str, norm: Parametrize) -> Network:
    return Network(
        name,
        make_torch=partial(TorchDecoder, norm),
        plain=partial(TorchDecoder, no_norm),
        make_nnx=lambda: NnxDecoder(nnx.Rngs(0)),
        make_linen=LinenDecoder,
        input_shape=(2, WIDTH, 3, 2),
        flatten={"head": FEATURES},
    )


DECODER_OLD = decoder("decoder-spectral_norm", torch.nn.utils.spectral_norm)
DECODER = decoder("decoder-parametrizations", torch.nn.utils.parametrizations.spectral_norm)
