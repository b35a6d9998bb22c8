"""Every bad argument gets one error that names it, says what was given, and what would do."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx
from jax_tconv import conv_transpose, output_shape

X, KERNEL = np.ones((2, 5, 6, 4), np.float32), np.ones((3, 3, 4, 2), np.float32)

# What is passed, the error, and what its message must hold.
CALLS = [
    ({"x": np.ones((4, 4), np.float32)}, ValueError, ["x must have 2 spatial axes", "(3, 3, 4, 2)", "(4, 4)"]),
    ({"kernel": np.ones((4, 2), np.float32)}, ValueError, ["kernel", "(*kernel_size, in, out // groups)", "(4, 2)"]),
    ({"x": np.ones((2, 5, 6, 3), np.float32)}, ValueError, ["x of shape", "3 channels", "takes 4"]),
    ({"x": np.ones((2, 4, 5, 6), np.float32)}, ValueError, ["channels", 'data_format="channels_first" would take it']),
    ({"kernel": np.ones((4, 2, 3, 3), np.float32)}, ValueError, ["kernel", "interop.kernel_from_torch"]),
    ({"data_format": "channels_first"}, ValueError, ["5 channels", 'data_format="channels_last" would take it']),
    ({"kernel": np.ones((3, 3, 4, 0), np.float32)}, ValueError, ["kernel", "at least one channel", "(3, 3, 4, 0)"]),
    ({"groups": 3}, ValueError, ["groups", "4 input channels", "3"]),
    ({"groups": 0}, ValueError, ["groups must be at least 1", "0"]),
    ({"groups": 2.0}, TypeError, ["groups must be an int", "2.0", "float"]),
    ({"groups": True}, TypeError, ["groups must be an int", "True"]),
    ({"stride": 0}, ValueError, ["stride must be at least 1", "0"]),
    ({"stride": (2, -1)}, ValueError, ["stride must be at least 1", "(2, -1)"]),
    ({"stride": (2, 2, 2)}, ValueError, ["stride must be an int or 2 ints", "got 3", "(2, 2, 2)"]),
    ({"stride": 2.0}, TypeError, ["stride must be an int", "2.0", "float"]),
    ({"stride": True}, TypeError, ["stride must be an int", "True", "bool"]),
    ({"stride": np.True_}, TypeError, ["stride must be an int"]),
    ({"stride": (2, False)}, TypeError, ["stride must be an int", "(2, False)"]),
    ({"stride": "2"}, TypeError, ["stride must be an int", "'2'"]),
    ({"stride": None}, TypeError, ["stride must be an int", "None"]),
    ({"dilation": 0}, ValueError, ["dilation must be at least 1"]),
    ({"dilation": (1,)}, ValueError, ["dilation must be an int or 2 ints", "got 1"]),
    ({"kernel": np.ones((0, 3, 4, 2), np.float32)}, ValueError, ["kernel_size must be at least 1", "(0, 3)"]),
    ({"padding": -1}, ValueError, ["padding must not be negative in its int form", "-1", "pair"]),
    ({"padding": (0, -1)}, ValueError, ["padding must not be negative", "(0, -1)"]),
    ({"padding": (1, 1, 1)}, ValueError, ["padding must be", "got 3 values for 2", "(1, 1, 1)"]),
    ({"padding": ((1, 1),)}, ValueError, ["padding must be", "got 1 values for 2"]),
    ({"padding": ((1, 1, 1), 0)}, TypeError, ["padding must be", "pair"]),
    ({"padding": 0.5}, TypeError, ["padding must be", "0.5"]),
    ({"padding": "same"}, ValueError, ["padding must be", '"SAME"', "'same'"]),
    ({"padding": "CIRCULAR"}, ValueError, ["padding must be", "'CIRCULAR'", "jnp.pad"]),
    ({"padding": "CAUSAL"}, ValueError, ["padding must be", "'CAUSAL'", "padding=((0,"]),
    ({"output_padding": 1}, ValueError, ["output_padding must be less than max(stride, dilation) = 1", "got 1"]),
    ({"output_padding": -1, "stride": 2}, ValueError, ["output_padding must be at least 0", "-1"]),
    ({"output_padding": (0, 3), "stride": 2, "dilation": 3}, ValueError, ["output_padding", "= 3", "axis 1"]),
    ({"output_padding": 1, "stride": 2, "padding": "SAME"}, ValueError, ["output_padding must be 0", "SAME"]),
    ({"output_size": 10, "padding": "VALID"}, ValueError, ["output_size must be left out", "VALID"]),
    ({"output_size": (13, 14), "stride": 2}, ValueError, ["output_size (13, 14)", "11 to 12, 13 to 14"]),
    ({"output_size": (1, 2, 3)}, ValueError, ["output_size must be an int or 2 ints", "got 3"]),
    ({"output_size": 7.5}, TypeError, ["output_size must be an int", "7.5"]),
    ({"padding": 4}, ValueError, ["the output would be empty", "(-1, 0)", "padding"]),
    (
        {"x": np.ones((2, 0, 6, 4), np.float32)},
        ValueError,
        ["input_size (of x's spatial axes) must be at least 1", "(0, 6)"],
    ),
    ({"bias": np.ones(3, np.float32)}, ValueError, ["bias must have shape (out,) = (2,)", "(3,)"]),
    ({"bias": np.ones((1, 2), np.float32)}, ValueError, ["bias must have shape", "(1, 2)"]),
    ({"bias": 1.0}, TypeError, ["bias must be a JAX or NumPy array", "float"]),
    ({"method": "fast"}, ValueError, ["method must be one of", "'lhs_dilation', 'vjp'", "'fast'"]),
    ({"method": 3}, ValueError, ["method must be one of", "3"]),
    ({"method": ["vjp"]}, ValueError, ["method must be one of", "['vjp']"]),
    ({"data_format": "NCHW"}, ValueError, ["data_format must be one of", "'channels_last'", "'NCHW'"]),
    ({"precision": "exact"}, ValueError, ["precision must be", "'highest'", "'exact'"]),
    ({"precision": ("high",)}, ValueError, ["precision must be", "pair"]),
    ({"preferred_element_type": "int32"}, TypeError, ["preferred_element_type must be one of", "int32"]),
    ({"preferred_element_type": "float3"}, TypeError, ["preferred_element_type must be one of", "float3"]),
    ({"preferred_element_type": "complex64"}, TypeError, ["preferred_element_type", "real", "complex64"]),
    ({"x": np.ones((2, 5, 6, 4), np.int32)}, TypeError, ["x must be of dtype", "int32", "cast"]),
    ({"kernel": np.ones((3, 3, 4, 2), bool)}, TypeError, ["kernel must be of dtype", "bool"]),
    ({"x": None}, TypeError, ["x must be a JAX or NumPy array", "None"]),
    ({"kernel": None}, TypeError, ["kernel must be a JAX or NumPy array", "None"]),
    ({"x": X.tolist()}, TypeError, ["x must be a JAX or NumPy array", "list", "jnp.asarray"]),
]


@pytest.mark.parametrize(("arguments", "error", "words"), CALLS, ids=[next(iter(a)) for a, _, _ in CALLS])
def test_function(arguments, error, words):
    call = {"x": X, "kernel": KERNEL} | arguments
    with pytest.raises(error) as caught:
        conv_transpose(**call)
    for word in words:
        assert word in str(caught.value)
    # The same under jit: an error of ours, not one from inside tracing.
    arrays = {name: call.pop(name) for name in ("x", "kernel") if isinstance(call[name], np.ndarray)}
    with pytest.raises(error, match=re.escape(words[0])):
        jax.jit(lambda arrays: conv_transpose(**arrays, **call))(arrays)


def test_a_torch_tensor_is_pointed_to_the_way():
    torch = pytest.importorskip("torch")
    x, kernel = np.ones((1, 5, 4), np.float32), np.ones((3, 4, 2), np.float32)
    with pytest.raises(TypeError, match=r"x must be .* torch.Tensor; convert it with tensor.detach\(\).cpu\(\).numpy"):
        conv_transpose(torch.tensor(x), kernel)
    with pytest.raises(TypeError, match=r"kernel must be .*Parameter; convert it with .*kernel_from_torch\(weight\)"):
        conv_transpose(x, torch.nn.Parameter(torch.tensor(kernel)))


def test_a_traced_argument_is_told_apart():
    with pytest.raises(TypeError, match=r"stride must be an int .*; it must be known when tracing: .*static_argnames"):
        jax.jit(conv_transpose)(X, KERNEL, stride=2)
    with pytest.raises(TypeError, match=r"stride must be an int .*; it must be known when tracing: .*static_argnames"):
        jax.jit(conv_transpose)(X, KERNEL, stride=(2, 2))


def test_hints_for_pytorchs_layouts():
    with pytest.raises(ValueError, match=r"has 6 channels .*interop.kernel_from_torch"):  # both in PyTorch's order
        conv_transpose(np.ones((2, 4, 5, 6), np.float32), np.ones((4, 2, 3, 3), np.float32))
    with pytest.raises(ValueError, match="counts the channels of all groups"):
        conv_transpose(X, np.ones((3, 3, 2, 2), np.float32), groups=2)


def test_padding_pairs_of_any_kind():
    expected = conv_transpose(X, KERNEL, padding=((1, 0), (0, 1)))
    np.testing.assert_array_equal(conv_transpose(X, KERNEL, padding=np.array([[1, 0], [0, 1]])), expected)
    np.testing.assert_array_equal(conv_transpose(X, KERNEL, padding=[[1, 0], [0, 1]]), expected)


LAYERS = [
    ({"kernel_size": (0, 3)}, ValueError, ["kernel_size must be at least 1", "(0, 3)"]),
    ({"kernel_size": ()}, ValueError, ["kernel_size", "one int per spatial axis"]),
    ({"kernel_size": None}, TypeError, ["kernel_size must be an int", "None"]),
    ({"strides": 0}, ValueError, ["strides must be at least 1"]),
    ({"strides": (2, 2, 2)}, ValueError, ["strides must be an int or 2 ints"]),
    ({"kernel_dilation": -1}, ValueError, ["kernel_dilation must be at least 1"]),
    ({"output_padding": 2, "strides": 2}, ValueError, ["output_padding", "max(strides, kernel_dilation) = 2"]),
    ({"padding": "CIRCULAR"}, ValueError, ["padding", "jnp.pad"]),
    ({"padding": "CAUSAL"}, ValueError, ["padding", "crops the end"]),
    ({"padding": -2}, ValueError, ["padding must not be negative"]),
    ({"feature_group_count": 3}, ValueError, ["must be a multiple of feature_group_count=3", "4"]),
    ({"feature_group_count": 4}, ValueError, ["must be a multiple of feature_group_count=4", "2"]),
    ({"transpose_kernel": True}, ValueError, ["transpose_kernel must be left out", "kernel_from_flax"]),
    ({"transpose_kernel": False}, ValueError, ["transpose_kernel must be left out", "kernel_from_flax"]),
    ({"method": "fast"}, ValueError, ["method must be one of"]),
    ({"precision": "exact"}, ValueError, ["precision must be"]),
    ({"mask": np.ones((3, 3))}, ValueError, ["mask", "(3, 3, 4, 2)", "(3, 3)"]),
]


@pytest.mark.parametrize(("arguments", "error", "words"), LAYERS, ids=[next(iter(a)) for a, _, _ in LAYERS])
@pytest.mark.parametrize("kind", ["linen", "nnx"])
def test_layers(kind, arguments, error, words):
    arguments = {"kernel_size": (3, 3)} | arguments
    with pytest.raises(error) as caught:
        if kind == "linen":
            jax_tconv.linen.ConvTranspose(2, **arguments).init(jax.random.key(0), X)
        else:
            jax_tconv.nnx.ConvTranspose(4, 2, **arguments, rngs=nnx.Rngs(0))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("kind", ["linen", "nnx"])
@pytest.mark.parametrize(
    ("inputs", "error", "words"),
    [
        (np.ones((5, 4), np.float32), ValueError, ["inputs must have shape", "2 spatial axes", "(5, 4)"]),
        (np.ones((5, 5, 4), np.int32), TypeError, ["inputs must be of dtype", "int32"]),
        (None, TypeError, ["inputs must be", "None"]),
    ],
)
def test_layer_inputs(kind, inputs, error, words):
    with pytest.raises(error) as caught:
        if kind == "linen":
            jax_tconv.linen.ConvTranspose(2, (3, 3)).init(jax.random.key(0), inputs)
        else:
            jax_tconv.nnx.ConvTranspose(4, 2, (3, 3), rngs=nnx.Rngs(0))(inputs)
    for word in words:
        assert word in str(caught.value)


def test_nnx_channels():
    with pytest.raises(ValueError, match=r"in_features=4 channels on the last axis, got shape \(5, 5, 3\)"):
        jax_tconv.nnx.ConvTranspose(4, 2, (3, 3), rngs=nnx.Rngs(0))(jnp.ones((5, 5, 3)))
    with pytest.raises(TypeError, match="in_features must be an int"):
        jax_tconv.nnx.ConvTranspose(4.0, 2, (3, 3), rngs=nnx.Rngs(0))


def test_output_shape():
    with pytest.raises(ValueError, match=r"kernel_size must be an int or 2 ints.*got 3"):
        output_shape((4, 4), (3, 3, 3))
    with pytest.raises(ValueError, match="input_size must be at least 1"):
        output_shape(0, 3)
    with pytest.raises(TypeError, match="input_size must be an int"):
        output_shape(None, 3)
