"""Cases worked out by hand in tutorials on PyTorch's transposed convolution, through the function and the layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx
from jax_tconv import conv_transpose, output_shape
from tests.cases import METHODS


def by_function(method):
    def apply(x, kernel, **arguments):
        return conv_transpose(x, kernel, method=method, **arguments)

    return apply


def in_flax_names(arguments):
    names = {"stride": "strides", "dilation": "kernel_dilation"}
    return {names.get(name, name): value for name, value in arguments.items()} | {"use_bias": False}


def by_linen(x, kernel, **arguments):
    layer = jax_tconv.linen.ConvTranspose(kernel.shape[-1], kernel.shape[:-2], **in_flax_names(arguments))
    return layer.apply({"params": {"kernel": kernel}}, x)


def by_nnx(x, kernel, **arguments):
    channels, kernel_size = kernel.shape[-2:], kernel.shape[:-2]
    layer = jax_tconv.nnx.ConvTranspose(*channels, kernel_size, rngs=nnx.Rngs(0), **in_flax_names(arguments))
    layer.kernel.set_value(jnp.asarray(kernel))
    return layer(x)


WAYS = {f"method {name}": by_function(name) for name in METHODS} | {"linen": by_linen, "nnx": by_nnx}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def plane(request):
    """Transposed convolution of one single-channel plane with another."""

    def apply(x, kernel, **arguments):
        x, kernel = np.array(x, np.float32)[..., None], np.array(kernel, np.float32)[..., None, None]
        return np.asarray(request.param(x, kernel, **arguments))[..., 0].tolist()

    return apply


SQUARE = [[0, 1], [2, 3]]


def test_stride_two_kernel_two(plane):
    expected = [[0, 0, 4, 1], [0, 0, 2, 3], [8, 2, 12, 3], [4, 6, 6, 9]]
    assert plane(SQUARE, [[4, 1], [2, 3]], stride=2) == expected


def test_stride_one(plane):
    assert plane(SQUARE, SQUARE) == [[0, 0, 1], [0, 4, 6], [4, 12, 9]]


def test_padding_one_leaves_the_middle(plane):
    assert plane(SQUARE, SQUARE, padding=1) == [[4]]


def test_stride_two(plane):
    assert plane(SQUARE, SQUARE, stride=2) == [[0, 0, 0, 1], [0, 0, 2, 3], [0, 2, 0, 3], [4, 6, 6, 9]]


def test_the_matrix_view(plane):
    # The plain convolution of arange(9) with [[1, 2], [3, 4]] is K @ arange(9), and its transpose is K.T.
    K = np.array([[1, 2, 0, 3, 4, 0, 0, 0, 0], [0, 1, 2, 0, 3, 4, 0, 0, 0], [0, 0, 0, 1, 2, 0, 3, 4, 0]])
    K = np.vstack([K, [[0, 0, 0, 0, 1, 2, 0, 3, 4]]])
    forward = K @ np.arange(9)
    assert forward.tolist() == [27, 37, 57, 67]
    assert plane(forward.reshape(2, 2), [[1, 2], [3, 4]]) == (K.T @ forward).reshape(3, 3).tolist()


@pytest.mark.parametrize(
    ("x", "kernel", "out", "arguments"),
    [
        ((1, 3, 32, 32), (3, 3, 3, 3), (1, 3, 64, 64), {"stride": 2, "padding": 1, "output_padding": 1}),
        ((1, 16, 16, 16), (4, 4, 16, 8), (1, 8, 32, 32), {"stride": 2, "padding": 1}),
        ((1, 64, 8, 8), (3, 3, 64, 32), (1, 32, 10, 10), {"padding": 1, "dilation": 2}),
        ((1, 1, 4, 4), (3, 3, 1, 1), (1, 1, 7, 7), {"stride": 2, "padding": 1}),
        ((1, 1, 2, 2), (2, 2, 1, 1), (1, 1, 4, 4), {"stride": 2}),
        ((1, 1, 2, 2), (2, 2, 1, 1), (1, 1, 2, 2), {"stride": 2, "padding": 1}),
        ((1, 3, 394, 358), (2, 2, 3, 2), (1, 2, 786, 714), {"stride": 2, "padding": 1}),
    ],
)
def test_shapes_of_the_tutorials(x, kernel, out, arguments):
    apply = lambda x, k: conv_transpose(x, k, data_format="channels_first", **arguments)
    assert jax.eval_shape(apply, jnp.zeros(x), jnp.zeros(kernel)).shape == out
    assert output_shape(x[2:], kernel[:2], **arguments) == out[2:]


def test_undoing_the_shape_of_a_convolution():
    assert output_shape(24, 5) == (28,)
    assert output_shape(12, 5, stride=2) == (27,)
    assert output_shape(12, 5, stride=2, output_padding=1) == (28,)
    assert output_shape(12, 5, stride=2, output_size=28) == (28,)


def test_a_convolution_and_back_with_the_same_arguments():
    image = jnp.zeros((1, 16, 16, 10))
    down = nnx.Conv(10, 20, (5, 5), strides=3, padding=2, rngs=nnx.Rngs(0))(image)
    up = jax_tconv.nnx.ConvTranspose(20, 10, (5, 5), strides=3, padding=2, rngs=nnx.Rngs(0))(down)
    assert up.shape == image.shape


def test_one_value_an_axis_and_its_alternatives(plane):
    assert plane([1, 2], [10, 100, 1000], padding=((1, 0),)) == [120, 1200, 2000]
    assert plane([1, 2], [10, 100, 1000], padding=((0, -2),)) == [10, 120, 1200, 2000, 0, 0]
    assert plane([1, 2], [10, 100, 1000], padding=((-1, 1),)) == [0, 10, 120, 1200]


def test_output_padding_beyond_the_stride(plane):
    # Dilation 3 lets two rows be added at stride 1: PyTorch's bound is max(stride, dilation).
    assert plane([1, 2], [10, 100], dilation=3, output_padding=2) == [10, 20, 0, 100, 200, 0, 0]


def test_same_and_valid_by_hand(plane):
    # SAME with kernel 3, stride 2 drops one row, at the end: size input * stride.
    assert plane([1, 2], [10, 100, 1000], stride=2, padding="SAME") == [10, 100, 1020, 200]
    assert plane([1, 2], [10, 100, 1000], stride=2, padding="VALID") == [10, 100, 1020, 200, 2000]
    # A kernel shorter than the stride: the last input row still has `stride` rows of its own.
    assert plane([1, 2], [10], stride=3, padding="VALID") == [10, 0, 0, 20, 0, 0]


def test_layouts_and_batches_agree():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5, 6)).astype(np.float32)
    kernel = np.random.default_rng(1).standard_normal((3, 2, 6, 2)).astype(np.float32)
    expected = conv_transpose(x.reshape(6, 4, 5, 6), kernel, stride=2).reshape(2, 3, 9, 10, 2)
    first = conv_transpose(np.moveaxis(x, -1, 2), kernel, stride=2, data_format="channels_first")
    for ours, wanted in [
        (conv_transpose(x, kernel, stride=2), expected),
        (conv_transpose(x[1, 2], kernel, stride=2), expected[1, 2]),
        (first, np.moveaxis(expected, -1, 2)),
    ]:
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert conv_transpose(x[:0], kernel, stride=2).shape == (0, 3, 9, 10, 2)


def test_four_spatial_axes():
    # Axis by axis where the kernel is an outer product: the fourth axis is like the others.
    x, k = np.arange(16.0).reshape(1, 2, 2, 2, 2, 1), np.array([1.0, 10])
    kernel = np.einsum("a,b,c,d->abcd", k, k, k, k)[..., None, None]
    expected = x[0, ..., 0]
    for axis in range(4):
        expected = np.apply_along_axis(lambda row: np.kron(row, k), axis, expected)
    np.testing.assert_allclose(conv_transpose(x, kernel, stride=2)[0, ..., 0], expected, rtol=1e-6)
