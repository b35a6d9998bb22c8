"""A CycleGAN's generator: reflection padding, InstanceNorm without weights, residual blocks, output padding.

The attributes are named as in the authors' code (junyanz/pytorch-CycleGAN-and-pix2pix, models/networks.py).
"""

from functools import partial

import jax
import jax.numpy as jnp
import torch
from flax import linen, nnx

import jax_tconv.linen
import jax_tconv.nnx
from tests.networks.network import Network

WIDTH = 8  # not doubled where the picture is halved, so that a layer's kernel could be read either way round
BLOCKS = 2


def reflect(n: int) -> partial:
    """torch's `ReflectionPad2d`, channels last."""
    return partial(jnp.pad, pad_width=((0, 0), (n, n), (n, n), (0, 0)), mode="reflect")


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_block = torch.nn.Sequential(
            torch.nn.ReflectionPad2d(1),
            torch.nn.Conv2d(WIDTH, WIDTH, 3),
            torch.nn.InstanceNorm2d(WIDTH),
            torch.nn.ReLU(True),
            torch.nn.ReflectionPad2d(1),
            torch.nn.Conv2d(WIDTH, WIDTH, 3),
            torch.nn.InstanceNorm2d(WIDTH),
        )

    def forward(self, x):
        return x + self.conv_block(x)


class TorchGenerator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = torch.nn.Sequential(
            torch.nn.ReflectionPad2d(3),
            torch.nn.Conv2d(3, WIDTH, 7),
            torch.nn.InstanceNorm2d(WIDTH),
            torch.nn.ReLU(True),
            torch.nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1),
            torch.nn.InstanceNorm2d(WIDTH),
            torch.nn.ReLU(True),
            *[TorchBlock() for _ in range(BLOCKS)],
            torch.nn.ConvTranspose2d(WIDTH, WIDTH, 3, stride=2, padding=1, output_padding=1),
            torch.nn.InstanceNorm2d(WIDTH),
            torch.nn.ReLU(True),
            torch.nn.ReflectionPad2d(3),
            torch.nn.Conv2d(WIDTH, 3, 7),
            torch.nn.Tanh(),
        )

    def forward(self, x):
        return self.model(x)


def nnx_norm(rngs: nnx.Rngs) -> nnx.Module:
    return nnx.InstanceNorm(WIDTH, epsilon=1e-5, use_bias=False, use_scale=False, use_fast_variance=False, rngs=rngs)


class NnxBlock(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.conv_block = nnx.Sequential(
            reflect(1),
            nnx.Conv(WIDTH, WIDTH, (3, 3), padding=0, rngs=rngs),
            nnx_norm(rngs),
            nnx.relu,
            reflect(1),
            nnx.Conv(WIDTH, WIDTH, (3, 3), padding=0, rngs=rngs),
            nnx_norm(rngs),
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.conv_block(x)


class NnxGenerator(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.model = nnx.Sequential(
            reflect(3),
            nnx.Conv(3, WIDTH, (7, 7), padding=0, rngs=rngs),
            nnx_norm(rngs),
            nnx.relu,
            nnx.Conv(WIDTH, WIDTH, (3, 3), strides=2, padding=1, rngs=rngs),
            nnx_norm(rngs),
            nnx.relu,
            *[NnxBlock(rngs) for _ in range(BLOCKS)],
            jax_tconv.nnx.ConvTranspose(WIDTH, WIDTH, (3, 3), strides=2, padding=1, output_padding=1, rngs=rngs),
            nnx_norm(rngs),
            nnx.relu,
            reflect(3),
            nnx.Conv(WIDTH, 3, (7, 7), padding=0, rngs=rngs),
            nnx.tanh,
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.model(x)


linen_norm = partial(linen.InstanceNorm, epsilon=1e-5, use_bias=False, use_scale=False, use_fast_variance=False)


class LinenBlock(linen.Module):
    def setup(self) -> None:
        self.conv_block = linen.Sequential(
            [
                reflect(1),
                linen.Conv(WIDTH, (3, 3), padding=0),
                linen_norm(),
                linen.relu,
                reflect(1),
                linen.Conv(WIDTH, (3, 3), padding=0),
                linen_norm(),
            ]
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.conv_block(x)


class LinenGenerator(linen.Module):
    def setup(self) -> None:
        self.model = linen.Sequential(
            [
                reflect(3),
                linen.Conv(WIDTH, (7, 7), padding=0),
                linen_norm(),
                linen.relu,
                linen.Conv(WIDTH, (3, 3), strides=2, padding=1),
                linen_norm(),
                linen.relu,
                *[LinenBlock() for _ in range(BLOCKS)],
                jax_tconv.linen.ConvTranspose(WIDTH, (3, 3), strides=2, padding=1, output_padding=1),
                linen_norm(),
                linen.relu,
                reflect(3),
                linen.Conv(3, (7, 7), padding=0),
                linen.tanh,
            ]
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.model(x)


CYCLEGAN = Network(
    "cyclegan",
    make_torch=TorchGenerator,
    make_nnx=lambda: NnxGenerator(nnx.Rngs(0)),
    make_linen=LinenGenerator,
    input_shape=(2, 3, 12, 16),
    pairs_by_order=False,
)
