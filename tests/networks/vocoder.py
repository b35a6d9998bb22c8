"""A vocoder in the manner of HiFi-GAN: weight norm on every layer, one axis, dilations.

The attributes are named as in HiFi-GAN's own code (jik876/hifi-gan, models.py).
"""

from functools import partial

import jax
import jax.numpy as jnp
import torch
from flax import linen, nnx

import jax_tconv.linen
import jax_tconv.nnx
from tests.networks.network import Network, Parametrize, no_norm, old_weight_norm

CHANNELS = 8  # kept through the upsampling, so that a layer's kernel could be read either way round
UPS = ((8, 4), (4, 2))  # kernel, stride
KERNELS = (3, 5)
DILATIONS = (1, 3)
SLOPE = 0.1


class TorchResBlock(torch.nn.Module):
    def __init__(self, kernel: int, norm: Parametrize):
        super().__init__()
        conv = lambda d: norm(torch.nn.Conv1d(CHANNELS, CHANNELS, kernel, dilation=d, padding=d * (kernel - 1) // 2))
        self.convs1 = torch.nn.ModuleList([conv(d) for d in DILATIONS])
        self.convs2 = torch.nn.ModuleList([conv(1) for _ in DILATIONS])

    def forward(self, x):
        leaky_relu = torch.nn.functional.leaky_relu
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            x = x + plain(leaky_relu(dilated(leaky_relu(x, SLOPE)), SLOPE))
        return x


class TorchVocoder(torch.nn.Module):
    def __init__(self, norm: Parametrize):
        super().__init__()
        self.conv_pre = norm(torch.nn.Conv1d(CHANNELS, CHANNELS, 7, padding=3))
        self.ups = torch.nn.ModuleList(
            norm(torch.nn.ConvTranspose1d(CHANNELS, CHANNELS, k, s, padding=(k - s) // 2)) for k, s in UPS
        )
        self.resblocks = torch.nn.ModuleList(TorchResBlock(k, norm) for _ in UPS for k in KERNELS)
        self.conv_post = norm(torch.nn.Conv1d(CHANNELS, 1, 7, padding=3))

    def forward(self, x):
        x = self.conv_pre(x)
        for n, up in enumerate(self.ups):
            x = up(torch.nn.functional.leaky_relu(x, SLOPE))
            blocks = self.resblocks[n * len(KERNELS) : (n + 1) * len(KERNELS)]
            x = sum(block(x) for block in blocks) / len(KERNELS)
        return torch.tanh(self.conv_post(torch.nn.functional.leaky_relu(x)))


class NnxResBlock(nnx.Module):
    def __init__(self, kernel: int, rngs: nnx.Rngs):
        conv = lambda d: nnx.Conv(
            CHANNELS, CHANNELS, (kernel,), kernel_dilation=d, padding=d * (kernel - 1) // 2, rngs=rngs
        )
        self.convs1 = nnx.List([conv(d) for d in DILATIONS])
        self.convs2 = nnx.List([conv(1) for _ in DILATIONS])

    def __call__(self, x: jax.Array) -> jax.Array:
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            x = x + plain(nnx.leaky_relu(dilated(nnx.leaky_relu(x, SLOPE)), SLOPE))
        return x


class NnxVocoder(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        transposed = jax_tconv.nnx.ConvTranspose
        self.conv_pre = nnx.Conv(CHANNELS, CHANNELS, (7,), padding=3, rngs=rngs)
        self.ups = nnx.List([transposed(CHANNELS, CHANNELS, k, s, padding=(k - s) // 2, rngs=rngs) for k, s in UPS])
        self.resblocks = nnx.List([NnxResBlock(k, rngs) for _ in UPS for k in KERNELS])
        self.conv_post = nnx.Conv(CHANNELS, 1, (7,), padding=3, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.conv_pre(x)
        for n, up in enumerate(self.ups):
            x = up(nnx.leaky_relu(x, SLOPE))
            x = sum(self.resblocks[n * len(KERNELS) + j](x) for j in range(len(KERNELS))) / len(KERNELS)
        return jnp.tanh(self.conv_post(nnx.leaky_relu(x)))


class LinenResBlock(linen.Module):
    kernel: int

    def setup(self) -> None:
        conv = lambda d: linen.Conv(CHANNELS, (self.kernel,), kernel_dilation=d, padding=d * (self.kernel - 1) // 2)
        self.convs1 = [conv(d) for d in DILATIONS]
        self.convs2 = [conv(1) for _ in DILATIONS]

    def __call__(self, x: jax.Array) -> jax.Array:
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            x = x + plain(linen.leaky_relu(dilated(linen.leaky_relu(x, SLOPE)), SLOPE))
        return x


class LinenVocoder(linen.Module):
    def setup(self) -> None:
        self.conv_pre = linen.Conv(CHANNELS, (7,), padding=3)
        self.ups = [jax_tconv.linen.ConvTranspose(CHANNELS, k, s, padding=(k - s) // 2) for k, s in UPS]
        self.resblocks = [LinenResBlock(k) for _ in UPS for k in KERNELS]
        self.conv_post = linen.Conv(1, (7,), padding=3)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.conv_pre(x)
        for n, up in enumerate(self.ups):
            x = up(linen.leaky_relu(x, SLOPE))
            x = sum(self.resblocks[n * len(KERNELS) + j](x) for j in range(len(KERNELS))) / len(KERNELS)
        return jnp.tanh(self.conv_post(linen.leaky_relu(x)))


def vocoder(name: str, norm: Parametrize) -> Network:
    return Network(
        name,
        make_torch=partial(TorchVocoder, norm),
        plain=partial(TorchVocoder, no_norm),
        make_nnx=lambda: NnxVocoder(nnx.Rngs(0)),
        make_linen=LinenVocoder,
        input_shape=(2, CHANNELS, 10),
    )


VOCODER_OLD = vocoder("vocoder-weight_norm", old_weight_norm)
VOCODER = vocoder("vocoder-parametrizations", torch.nn.utils.parametrizations.weight_norm)
