"""The layers that Flax has with fewer arrays than PyTorch, against PyTorch's: values, gradients, dtypes and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx

X = np.array([[-2.0, 3.0, 0.0], [0.5, -1.0, -4.0]], np.float32)
SLOPES = np.array([0.25, -0.5, 2.0], np.float32)


def prelus(count, **arguments):
    """Both layers as functions of the slopes and the input."""
    layer = jax_tconv.nnx.PReLU(count, **arguments)
    graph, _ = nnx.split(layer)
    linen = jax_tconv.linen.PReLU(count, **arguments)
    return (
        lambda slopes, x: nnx.merge(graph, nnx.State({"negative_slope": nnx.Param(slopes)}))(x),
        lambda slopes, x: linen.apply({"params": {"negative_slope": slopes}}, x),
    )


@pytest.mark.parametrize("count", [1, 3])
def test_prelu(count):
    torch = pytest.importorskip("torch")
    layer, x = torch.nn.PReLU(count), torch.tensor(X, requires_grad=True)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(SLOPES[:count]))
    y = layer(x)
    (y**2 + y).sum().backward()
    for ours in prelus(count):
        np.testing.assert_array_equal(ours(SLOPES[:count], X), y.detach())
        loss = lambda slopes, x, ours=ours: jnp.sum(ours(slopes, x) ** 2 + ours(slopes, x))
        slopes_gradient, x_gradient = jax.grad(loss, (0, 1))(SLOPES[:count], X)
        # Also at zero, where the slope is what PyTorch takes.
        np.testing.assert_allclose(x_gradient, x.grad, rtol=1e-6)
        np.testing.assert_allclose(slopes_gradient, layer.weight.grad, rtol=1e-6)


def test_prelus_begin_as_torchs_do():
    for count in (1, 3):
        layer, linen = jax_tconv.nnx.PReLU(count), jax_tconv.linen.PReLU(count)
        params = linen.init(jax.random.key(0), X)["params"]
        for slopes in (layer.negative_slope[...], params["negative_slope"]):
            np.testing.assert_array_equal(slopes, np.full(count, 0.25, np.float32))


def test_dtypes_of_prelu():
    x = jnp.asarray(X, jnp.bfloat16)
    for ours in prelus(3):
        assert ours(SLOPES, x).dtype == jnp.bfloat16
    for ours in prelus(3, dtype=jnp.float16):
        assert ours(SLOPES, X).dtype == jnp.float16
    assert jax_tconv.nnx.PReLU(3, param_dtype=jnp.float16).negative_slope.dtype == jnp.float16


def test_prelus_of_another_number_of_channels():
    for ours in prelus(2):
        with pytest.raises(ValueError, match=r"num_parameters=2 channels on the last axis, got shape \(2, 3\)"):
            ours(SLOPES[:2], X)
    with pytest.raises(ValueError, match="num_parameters must be at least 1, got 0"):
        jax_tconv.nnx.PReLU(0)
    with pytest.raises(TypeError, match=r"num_parameters must be an int, got 2.0"):
        jax_tconv.linen.PReLU(2.0).init(jax.random.key(0), X)


def test_layers_are_made_without_values_and_under_jit():
    def make():
        rngs = nnx.Rngs(0)
        rnn, norm = nnx.RNN(jax_tconv.nnx.GRUCell(3, 4, rngs=rngs)), jax_tconv.nnx.LayerNorm((5, 4), rngs=rngs)
        return nnx.Sequential(rnn, norm, jax_tconv.nnx.PReLU(4))

    shapes = [leaf.shape for leaf in jax.tree.leaves(nnx.state(nnx.eval_shape(make), nnx.Param))]
    assert sorted(shapes) == sorted([(12,), (12,), (3, 12), (4, 12), (5, 4), (5, 4), (4,)])
    model, x = make(), jnp.ones((2, 5, 3))
    np.testing.assert_allclose(nnx.jit(lambda model, x: model(x))(model, x), model(x), rtol=1e-5, atol=1e-6)
    gradients = nnx.grad(lambda model: jnp.sum(model(x) ** 2))(model)
    assert [leaf.shape for leaf in jax.tree.leaves(gradients)] == shapes
