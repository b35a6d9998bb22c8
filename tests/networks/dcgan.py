"""A DCGAN's generator: one Sequential of transposed convolutions and BatchNorm, from a vector (N, z, 1, 1).

The one attribute is named as in PyTorch's own example (pytorch/examples, dcgan/main.py).
"""

import jax
import torch
from flax import linen, nnx

import jax_tconv.linen
import jax_tconv.nnx
from tests.networks.network import Network

WIDTH = 4  # as the kernels' rows and columns: all four axes of a weight are equal


class TorchGenerator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.main = torch.nn.Sequential(
            torch.nn.ConvTranspose2d(WIDTH, WIDTH, 4, bias=False),
            torch.nn.BatchNorm2d(WIDTH),
            torch.nn.ReLU(True),
            torch.nn.ConvTranspose2d(WIDTH, WIDTH, 4, stride=2, padding=1, bias=False),
            torch.nn.BatchNorm2d(WIDTH),
            torch.nn.ReLU(True),
            torch.nn.ConvTranspose2d(WIDTH, 3, 4, stride=2, padding=1, bias=False),
            torch.nn.Tanh(),
        )

    def forward(self, x):
        return self.main(x)


class NnxGenerator(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        transposed = jax_tconv.nnx.ConvTranspose
        self.main = nnx.Sequential(
            transposed(WIDTH, WIDTH, (4, 4), use_bias=False, rngs=rngs),
            nnx.BatchNorm(WIDTH, momentum=0.9, rngs=rngs),
            nnx.relu,
            transposed(WIDTH, WIDTH, (4, 4), strides=2, padding=1, use_bias=False, rngs=rngs),
            nnx.BatchNorm(WIDTH, momentum=0.9, rngs=rngs),
            nnx.relu,
            transposed(WIDTH, 3, (4, 4), strides=2, padding=1, use_bias=False, rngs=rngs),
            nnx.tanh,
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.main(x)


class LinenGenerator(linen.Module):
    def setup(self) -> None:
        transposed = jax_tconv.linen.ConvTranspose
        self.main = linen.Sequential(
            [
                transposed(WIDTH, (4, 4), use_bias=False),
                linen.BatchNorm(use_running_average=True, momentum=0.9),
                linen.relu,
                transposed(WIDTH, (4, 4), strides=2, padding=1, use_bias=False),
                linen.BatchNorm(use_running_average=True, momentum=0.9),
                linen.relu,
                transposed(3, (4, 4), strides=2, padding=1, use_bias=False),
                linen.tanh,
            ]
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.main(x)


DCGAN = Network(
    "dcgan",
    make_torch=TorchGenerator,
    make_nnx=lambda: NnxGenerator(nnx.Rngs(0)),
    make_linen=LinenGenerator,
    input_shape=(2, WIDTH, 1, 1),
)
