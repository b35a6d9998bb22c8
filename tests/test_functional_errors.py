"""What `jax_tconv.functional` says of bad arguments: which one, what was given, what would do. Torch is not needed."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_tconv import functional as F

X = np.ones((2, 4, 6, 3), np.float32)
LINE = X[:, 0]
KERNEL = np.ones((3, 3, 3, 5), np.float32)

BAD = {
    "a list": (lambda: F.max_pool([1.0, 2.0], 2), TypeError, "x must be a JAX or NumPy array, got list"),
    "too few axes": (
        lambda: F.max_pool(X[0, 0], 2),
        ValueError,
        r"x must have shape \(batch, \*spatial, channels\).*\(6, 3\)",
    ),
    "more sizes than axes": (lambda: F.max_pool(LINE, (2, 2, 2)), ValueError, "kernel_size has 3 entries"),
    "two lengths": (lambda: F.max_pool(X, (2, 2), stride=(1,)), ValueError, "stride must be an int or 2 ints"),
    "no int": (
        lambda: F.avg_pool(X, 2.5),
        TypeError,
        "kernel_size must be an int or one int per spatial axis, got 2.5",
    ),
    "zero": (lambda: F.avg_pool(X, 0), ValueError, "kernel_size must be at least 1"),
    "too much padding": (lambda: F.avg_pool(X, 2, padding=2), ValueError, "padding must be at most half of the window"),
    "too large": (lambda: F.max_pool(X, 7), ValueError, r"kernel_size must fit into x and its padding.*7 rows.*size 4"),
    "ints": (lambda: F.avg_pool(np.ones((1, 4, 1), int), 2), TypeError, "x must be of a floating dtype, got int"),
    "complex": (lambda: F.max_pool(X.astype(np.complex64), 2), TypeError, "x must be of a real dtype, got complex64"),
    "divided by zero": (lambda: F.avg_pool(X, 2, divisor_override=0), ValueError, "divisor_override must not be 0"),
    "no windows": (lambda: F.adaptive_avg_pool(X, 0), ValueError, "output_size must be at least 1"),
    "part of a window": (lambda: F.adaptive_max_pool(X, (2, 1.5)), TypeError, "output_size must be an int"),
    "indices of another shape": (
        lambda: F.max_unpool(X, X[..., :1].astype(int), 2),
        ValueError,
        "indices must be ints of the shape of x",
    ),
    "float indices": (lambda: F.max_unpool(X, X, 2), ValueError, "indices must be ints"),
    "another size": (
        lambda: F.max_unpool(X, X.astype(int), 2, output_size=(8, 14)),
        ValueError,
        r"output_size must be less than stride.*\(8, 12\).*\(8, 14\)",
    ),
    "no mode": (lambda: F.interpolate(X, 2, mode="cubic"), ValueError, "mode must be one of 'nearest'.*got 'cubic'"),
    "no size": (lambda: F.interpolate(X), ValueError, "size or scale_factor must be given"),
    "both": (
        lambda: F.interpolate(X, 2, 2.0),
        ValueError,
        "size or scale_factor must be given, not both: got 2 and 2.0",
    ),
    "no factor": (lambda: F.interpolate(X, scale_factor=-1.0), ValueError, "scale_factor must be a positive number"),
    "one factor of two": (
        lambda: F.interpolate(X, scale_factor=(2, 2, 2), mode="bilinear"),
        ValueError,
        "scale_factor must be a positive number, or 2",
    ),
    "nothing left": (lambda: F.interpolate(X, scale_factor=0.1), ValueError, "scale_factor must leave a row"),
    "nearest corners": (
        lambda: F.interpolate(X, 2, align_corners=True),
        ValueError,
        "align_corners must be left out with mode='nearest'",
    ),
    "antialiased area": (
        lambda: F.interpolate(X, 2, mode="area", antialias=True),
        ValueError,
        "antialias must be left out",
    ),
    "nothing to recompute": (
        lambda: F.interpolate(X, 2, recompute_scale_factor=True),
        ValueError,
        "recompute_scale_factor must be left out",
    ),
    "too few axes for the mode": (
        lambda: F.interpolate(LINE[0], 2, mode="bilinear"),
        ValueError,
        "x must have 2 spatial axes",
    ),
    "no square of channels": (lambda: F.pixel_shuffle(X, 2), ValueError, "x must have a multiple of 4 channels"),
    "no multiple": (
        lambda: F.pixel_unshuffle(X, 5),
        ValueError,
        "x must have a height and a width that factor=5 divides",
    ),
    "no groups": (lambda: F.channel_shuffle(X, 2), ValueError, "x must have a multiple of groups=2 channels"),
    "too few pairs": (lambda: F.pad(X, [(1, 1)]), ValueError, r"pad_width must be 4 \(before, after\) pairs"),
    "reflected twice": (
        lambda: F.pad(LINE, [(0, 0), (6, 0), (0, 0)], "reflect"),
        ValueError,
        "pad_width must be at most 5",
    ),
    "around twice": (
        lambda: F.pad(LINE, [(0, 0), (-4, 3), (0, 0)], "circular"),
        ValueError,
        "pad_width must be at most 2 for an axis of 6",
    ),
    "removed twice": (lambda: F.pad(LINE, [(0, 0), (-4, -4), (0, 0)]), ValueError, "pad_width must fit each axis"),
    "jnp's mode": (lambda: F.pad(X, [(0, 0)] * 4, "edge"), ValueError, "mode must be one of"),
    "negative": (lambda: F.softshrink(X, -1.0), ValueError, "lambd must be at least 0"),
    "slopes": (lambda: F.prelu(X, np.ones(2)), ValueError, r"slopes must have shape \(1,\), or one for each channel"),
    "axes": (
        lambda: F.layer_norm(X, (-1, -2)),
        ValueError,
        r"axes must be in increasing order, each once; got \(-1, -2\)",
    ),
    "an axis too far": (lambda: F.layer_norm(X, 4), ValueError, "axes must be one or more axes of x"),
    "a weight": (lambda: F.layer_norm(X, -1, np.ones(4)), ValueError, r"weight must be of shape \(3,\), got \(4,\)"),
    "uneven groups": (lambda: F.group_norm(X, 2), ValueError, "x must have a multiple of num_groups=2 channels"),
    "no variance": (lambda: F.batch_norm(X, np.ones(3)), ValueError, "var must be given too"),
    "no place": (lambda: F.instance_norm(X[0, 0]), ValueError, r"x must have shape \(batch, \*spatial, channels\)"),
    "other channels": (lambda: F.conv(X[..., :2], KERNEL), ValueError, "x must have 3 channels for each of groups=1"),
    "other bias": (lambda: F.conv(X, KERNEL, np.ones(3)), ValueError, r"bias must be of shape \(5,\), got \(3,\)"),
    "Flax's name": (lambda: F.conv(X, KERNEL, padding="SAME"), ValueError, "padding must be 'same', 'valid', an int"),
    "same with strides": (
        lambda: F.conv(X, KERNEL, stride=2, padding="same"),
        ValueError,
        "stride must be 1 with padding='same'",
    ),
    "large kernel": (lambda: F.conv(X, KERNEL, dilation=3), ValueError, "kernel must fit into x and its padding"),
    "no kernel": (lambda: F.conv(X, KERNEL[0, 0]), ValueError, "kernel must have shape"),
    "attention": (lambda: F.scaled_dot_product_attention(X, X[..., :2], X), ValueError, "q, k and v must have shapes"),
    "two masks": (
        lambda: F.scaled_dot_product_attention(X, X, X, np.ones(()), True),
        ValueError,
        "mask must be left out with is_causal",
    ),
    "uneven heads": (
        lambda: F.scaled_dot_product_attention(X, X[:, :3], X[:, :3], enable_gqa=True),
        ValueError,
        "k and v must have a number of heads",
    ),
    "a line sampled": (
        lambda: F.grid_sample(LINE, np.ones((2, 5, 1), np.float32)),
        ValueError,
        "x must have shape .* with 2 or 3 spatial axes",
    ),
    "other images": (lambda: F.grid_sample(X, np.ones((3, 5, 5, 2), np.float32)), ValueError, "x must have shape"),
    "other maps": (lambda: F.affine_grid(np.ones((1, 2, 2), np.float32), (3, 3)), ValueError, "theta must have shape"),
    "no image": (lambda: F.unfold(LINE, 2), ValueError, r"x must have shape \(batch, height, width, channels\)"),
    "a large window": (lambda: F.unfold(X, 5), ValueError, "kernel_size must fit into the image"),
    "other windows": (lambda: F.fold(LINE, (3, 4), 2), ValueError, "x must have shape .* with 2 \\* 3 windows"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message) as raised:
        call()
    assert type(raised.value) is error
    assert "\n" not in str(raised.value)


def test_a_tensor_of_torch_is_told_how_to_become_an_array():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=re.escape("tensor.detach().cpu().numpy()")):
        F.normalize(torch.ones(3))


def test_traced_sizes_are_refused():
    with pytest.raises(TypeError, match="static_argnames"):
        jax.jit(F.max_pool)(jnp.asarray(X), 2)
