"""The Flax layers: the same numbers as the op, as torch's layers and as Flax's own; PyTorch's initial distribution."""

import inspect

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx
from jax_tconv import conv_transpose
from jax_tconv.interop import kernel_from_flax

X = np.random.default_rng(0).standard_normal((2, 5, 6, 4)).astype(np.float32)


def linen_and_nnx(features, kernel_size, in_features=4, **arguments):
    """Both layers with the same parameters, as functions of the input."""
    linen = jax_tconv.linen.ConvTranspose(features, kernel_size, **arguments)
    layer = jax_tconv.nnx.ConvTranspose(in_features, features, kernel_size, rngs=nnx.Rngs(1), **arguments)
    params = {"kernel": layer.kernel[...]}
    if layer.bias is not None:
        params["bias"] = layer.bias[...]
    return params, lambda x, **call: linen.apply({"params": params}, x, **call), layer


@pytest.mark.parametrize("jit", [False, True])
def test_layers_compute_the_op(jit):
    arguments = {"strides": (2, 3), "padding": (1, 0), "output_padding": (1, 2), "kernel_dilation": (1, 2)}
    params, linen, layer = linen_and_nnx(6, (3, 2), feature_group_count=2, **arguments)
    expected = conv_transpose(
        X,
        params["kernel"],
        params["bias"],
        stride=(2, 3),
        padding=(1, 0),
        output_padding=(1, 2),
        dilation=(1, 2),
        groups=2,
    )
    assert params["kernel"].shape == (3, 2, 4, 3)
    ours = (jax.jit(linen)(X), nnx.jit(lambda m, x: m(x))(layer, X)) if jit else (linen(X), layer(X))
    for y in ours:
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_output_size_at_the_call():
    _, linen, layer = linen_and_nnx(3, (3, 3), strides=2, padding=1)
    for size in [(10, 11), (9, 12), (2, 10, 12, 3)]:
        spatial = size[-3:-1] if len(size) == 4 else size
        assert linen(X, output_size=size).shape == layer(X, output_size=size).shape == (2, *spatial, 3)


def test_dtype_param_dtype_mask_and_no_bias():
    mask = np.zeros((3, 3, 4, 2), np.float32)
    mask[1, 1] = 1
    params, linen, layer = linen_and_nnx(2, (3, 3), padding=1, mask=mask, use_bias=False)
    assert "bias" not in params
    centre = X @ np.asarray(params["kernel"])[1, 1]
    np.testing.assert_allclose(linen(X), centre, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer(X), centre, rtol=1e-5, atol=1e-6)

    params, linen, layer = linen_and_nnx(2, (3, 3), dtype=jnp.bfloat16, param_dtype=jnp.float16)
    assert params["kernel"].dtype == params["bias"].dtype == jnp.float16
    assert linen(X).dtype == layer(X).dtype == jnp.bfloat16
    _, linen, layer = linen_and_nnx(2, (3, 3), dtype=jnp.bfloat16, preferred_element_type=jnp.float32)
    assert linen(X).dtype == layer(X).dtype == jnp.float32


def test_initializers_and_metadata_are_passed_on():
    ones, twos = flax.linen.initializers.ones, flax.linen.initializers.constant(2.0)
    params = jax_tconv.linen.ConvTranspose(2, (3, 3), kernel_init=ones, bias_init=twos).init(jax.random.key(0), X)[
        "params"
    ]
    assert (params["kernel"] == 1).all()
    assert (params["bias"] == 2).all()
    layer = jax_tconv.nnx.ConvTranspose(
        4,
        2,
        (3, 3),
        kernel_init=ones,
        bias_init=twos,
        rngs=nnx.Rngs(0),
        kernel_metadata={"note": "kernel"},
        bias_metadata={"note": "bias"},
    )
    assert (layer.kernel[...] == 1).all()
    assert (layer.bias[...] == 2).all()
    assert (layer.kernel.note, layer.bias.note) == ("kernel", "bias")


def test_argument_names_are_flaxs():
    ours, flaxs = (inspect.signature(m.ConvTranspose).parameters for m in (jax_tconv.nnx, nnx))
    assert list(flaxs)[:4] == list(ours)[:4]
    assert flaxs.keys() - ours.keys() == set()
    ours, flaxs = (inspect.signature(m.ConvTranspose).parameters for m in (jax_tconv.linen, flax.linen))
    in_order = [name for name in ours if name not in ("output_padding", "feature_group_count", "method")]
    assert in_order == list(flaxs)


def test_a_layer_trains():
    target = jnp.ones((2, 10, 12, 2))
    layer = jax_tconv.nnx.ConvTranspose(4, 2, (2, 2), strides=2, rngs=nnx.Rngs(0))
    loss = lambda m: ((m(X) - target) ** 2).mean()
    before = loss(layer)
    gradients = nnx.grad(loss)(layer)
    nnx.update(layer, jax.tree.map(lambda p, g: p - 0.1 * g, nnx.state(layer, nnx.Param), gradients))
    assert loss(layer) < before


@pytest.mark.parametrize("transpose_kernel", [False, True])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "dilation"),
    [
        ((3, 3), (2, 2), 1),
        ((4, 2), (2, 3), 1),
        ((2, 5), (3, 2), 2),
        ((1, 4), (2, 1), 3),
        ((6, 3), (2, 5), 1),
        ((7, 4), (3, 3), 2),
    ],
)
def test_flax_kernels_keep_their_numbers(kernel_size, strides, dilation, padding, transpose_kernel):
    theirs = flax.linen.ConvTranspose(
        3, kernel_size, strides, padding, kernel_dilation=(dilation, dilation), transpose_kernel=transpose_kernel
    )
    expected, variables = theirs.init_with_output(jax.random.key(0), X)
    kernel = kernel_from_flax(variables["params"]["kernel"], transpose_kernel=transpose_kernel)
    ours = jax_tconv.linen.ConvTranspose(3, kernel_size, strides, padding, dilation)
    y = ours.apply({"params": variables["params"] | {"kernel": kernel}}, X)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pads", [(0, 0), (1, 2), (3, 0), (5, 4)])
def test_flaxs_numeric_padding_translates_as_documented(pads):
    theirs = flax.linen.ConvTranspose(3, (3,), (2,), padding=(pads,), kernel_dilation=(2,))
    expected, variables = theirs.init_with_output(jax.random.key(0), X[0])
    extent = 2 * (3 - 1) + 1
    ours = jax_tconv.linen.ConvTranspose(
        3, (3,), 2, padding=((extent - 1 - pads[0], extent - 1 - pads[1]),), kernel_dilation=2
    )
    kernel = kernel_from_flax(variables["params"]["kernel"])
    y = ours.apply({"params": variables["params"] | {"kernel": kernel}}, X[0])
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "kernel_size", "groups"), [((64, 32), (3, 3), 1), ((32, 64), (4,), 4), ((8, 96), (2, 3, 2), 2)]
)
@jax.default_prng_impl("threefry2x32")
def test_initial_distribution_is_torchs(channels, kernel_size, groups):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = getattr(torch.nn, f"ConvTranspose{len(kernel_size)}d")
    drawn = [theirs(*channels, kernel_size, groups=groups) for _ in range(20)]
    linen = jax_tconv.linen.ConvTranspose(channels[1], kernel_size, feature_group_count=groups)
    x = jnp.zeros((1, *(1 for _ in kernel_size), channels[0]))
    ours = []
    for seed in range(20):
        layer = jax_tconv.nnx.ConvTranspose(*channels, kernel_size, feature_group_count=groups, rngs=nnx.Rngs(seed))
        ours.append((layer.kernel[...], layer.bias[...]))
        params = linen.init(jax.random.key(seed), x)["params"]
        ours.append((params["kernel"], params["bias"]))
    for index, parameter in enumerate(("weight", "bias")):
        a = np.sort(np.concatenate([np.ravel(pair[index]) for pair in ours]))
        b = np.sort(np.concatenate([getattr(layer, parameter).detach().numpy().ravel() for layer in drawn]))
        # The Kolmogorov-Smirnov distance of two samples of one distribution exceeds this once in a million times.
        distance = np.abs(np.searchsorted(a, a, "right") / a.size - np.searchsorted(b, a, "right") / b.size).max()
        assert distance < 2.7 * np.sqrt(1 / a.size + 1 / b.size), parameter
        assert abs(np.abs(a).max() / np.abs(b).max() - 1) < 0.01, parameter
