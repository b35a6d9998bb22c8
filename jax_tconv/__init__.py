"""Transposed convolution for JAX and Flax, with PyTorch's exact semantics.

The op is here; the Flax layers are `jax_tconv.linen.ConvTranspose` and `jax_tconv.nnx.ConvTranspose`, and PyTorch
checkpoints go in and out through `jax_tconv.interop`. Import those modules to use them.
"""

from jax_tconv.functional import conv_transpose as conv_transpose
from jax_tconv.geometry import output_shape as output_shape

__all__ = ["conv_transpose", "output_shape"]
