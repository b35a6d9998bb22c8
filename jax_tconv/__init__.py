"""Transposed convolution for JAX and Flax, with PyTorch's exact semantics.

The op is here; the Flax layers are `jax_tconv.linen.ConvTranspose` and `jax_tconv.nnx.ConvTranspose`, and PyTorch
checkpoints go in and out through `jax_tconv.interop`. Import those modules to use them.
"""

from jax_tconv._call.arguments import Method
from jax_tconv._call.call import Op
from jax_tconv._call.geometry import output_shape
from jax_tconv._op.functional import conv_transpose
from jax_tconv._op.matrix import transposed_conv_matrix
from jax_tconv._op.remat import conv_transpose_saveable
from jax_tconv._selection.select import Choice, Platform, select_method

__version__ = "0.1.0"

__all__ = [
    "Choice",
    "Method",
    "Op",
    "Platform",
    "conv_transpose",
    "conv_transpose_saveable",
    "output_shape",
    "select_method",
    "transposed_conv_matrix",
]
