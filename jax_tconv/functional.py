"""PyTorch's functions that JAX lacks or computes otherwise: exactly, with the channels last.

Arrays are `(batch, *spatial, channels)`, and arguments in the order of the spatial axes. A function has torch's name
without its `1d`, `2d` or `3d`: the number of spatial axes is that of the array, or of an argument with one entry each.
"""

from jax_tconv._functional.activations import (
    hardshrink,
    prelu,
    rrelu,
    softmin,
    softplus,
    softshrink,
    tanhshrink,
    threshold,
)
from jax_tconv._functional.adaptive import adaptive_avg_pool, adaptive_max_pool
from jax_tconv._functional.attention import scaled_dot_product_attention
from jax_tconv._functional.convolving import conv
from jax_tconv._functional.distances import cosine_similarity, local_response_norm, normalize, pairwise_distance
from jax_tconv._functional.folding import fold, unfold
from jax_tconv._functional.norms import batch_norm, group_norm, instance_norm, layer_norm
from jax_tconv._functional.padding import pad
from jax_tconv._functional.pooling import avg_pool, lp_pool, max_pool, max_pool_with_indices
from jax_tconv._functional.resizing import interpolate
from jax_tconv._functional.sampling import affine_grid, grid_sample
from jax_tconv._functional.shuffling import channel_shuffle, pixel_shuffle, pixel_unshuffle
from jax_tconv._functional.spectra import istft, stft
from jax_tconv._functional.unpooling import max_unpool

__all__ = [
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "affine_grid",
    "avg_pool",
    "batch_norm",
    "channel_shuffle",
    "conv",
    "cosine_similarity",
    "fold",
    "grid_sample",
    "group_norm",
    "hardshrink",
    "instance_norm",
    "interpolate",
    "istft",
    "layer_norm",
    "local_response_norm",
    "lp_pool",
    "max_pool",
    "max_pool_with_indices",
    "max_unpool",
    "normalize",
    "pad",
    "pairwise_distance",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "rrelu",
    "scaled_dot_product_attention",
    "softmin",
    "softplus",
    "softshrink",
    "stft",
    "tanhshrink",
    "threshold",
    "unfold",
]
