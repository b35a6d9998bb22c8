"""Weight norm and spectral norm, old keys and new: folded to what torch computes, and otherwise left alone."""

import contextlib

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jax_tconv.nnx
from jax_tconv import interop

torch = pytest.importorskip("torch")
P = torch.nn.utils.parametrizations
RNGS = nnx.Rngs(0)
ROUNDING = 2.0**-24  # half a unit in float32's last place

# torch's layer, and the plain nnx layer that it is.
LAYERS = {
    "conv_transpose": (
        lambda: torch.nn.ConvTranspose2d(3, 3, 3, 2),
        lambda: jax_tconv.nnx.ConvTranspose(3, 3, (3, 3), 2, rngs=RNGS),
    ),
    "conv": (lambda: torch.nn.Conv1d(3, 3, 3), lambda: nnx.Conv(3, 3, (3,), padding=0, rngs=RNGS)),
    "linear": (lambda: torch.nn.Linear(3, 3), lambda: nnx.Linear(3, 3, rngs=RNGS)),
    "embedding": (lambda: torch.nn.Embedding(3, 3), lambda: nnx.Embed(3, 3, rngs=RNGS)),
}
NORMS = {
    "old weight": lambda layer: torch.nn.utils.weight_norm(layer),
    "old weight, dim 1": lambda layer: torch.nn.utils.weight_norm(layer, dim=1),
    "old weight, all": lambda layer: torch.nn.utils.weight_norm(layer, dim=None),
    "new weight": lambda layer: P.weight_norm(layer),
    "new weight, dim 1": lambda layer: P.weight_norm(layer, dim=1),
    "old spectral": lambda layer: torch.nn.utils.spectral_norm(layer),
    "old spectral, 5 steps": lambda layer: torch.nn.utils.spectral_norm(layer, n_power_iterations=5),
    "new spectral": lambda layer: P.spectral_norm(layer),
}


def normed(layer, norm):
    """torch's layer under the norm, with random values, evaluating."""
    with pytest.warns(FutureWarning) if norm.startswith("old weight") else contextlib.nullcontext():
        layer = NORMS[norm](layer)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-1, 1)
    return layer.eval()


def effective(layer, shape):
    """The weight that the layer uses, which the old hooks compute at a call, in float64."""
    layer = layer.double()
    with torch.no_grad():
        layer(torch.tensor([0, 1]) if isinstance(layer, torch.nn.Embedding) else torch.ones(shape).double())
    return layer.weight.detach().numpy()


SHAPES = {"conv_transpose": (1, 3, 5, 5), "conv": (1, 3, 5), "linear": (1, 3), "embedding": (2,)}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", LAYERS)
def test_folded_as_torch_evaluates_it(name, norm):
    torch.manual_seed(0)
    layer = normed(LAYERS[name][0](), norm)
    state_dict = {key: value.clone() for key, value in layer.state_dict().items()}
    expected = effective(layer, SHAPES[name])
    twin = LAYERS[name][1]()
    report = interop.load_state_dict(twin, state_dict)
    weight = interop.state_dict(twin)["weight"]
    np.testing.assert_allclose(weight, expected, rtol=ROUNDING)
    row = report.rows[0]
    assert row.name == "weight"
    assert set(row.source) == {key for key in state_dict if key != "bias"}
    assert f"{norm.split()[1].rstrip(',')} norm folded, comes back as a plain tensor" in row.transform
    assert not row.exact


def test_torch_takes_the_plain_weight_back():
    torch.manual_seed(0)
    layer = normed(torch.nn.ConvTranspose2d(3, 3, 3, 2), "new weight")
    x = torch.randn(1, 3, 4, 4)
    y = layer(x).detach()
    twin = LAYERS["conv_transpose"][1]()
    interop.load_state_dict(twin, layer.state_dict())
    torch.nn.utils.parametrize.remove_parametrizations(layer, "weight")
    layer.load_state_dict(interop.to_torch(interop.state_dict(twin)), strict=True)
    torch.testing.assert_close(layer(x), y)


def test_a_vector_under_spectral_norm():
    layer = torch.nn.LayerNorm(4)
    with torch.no_grad():
        layer.weight.uniform_(1, 2)
    layer = P.spectral_norm(layer).eval()
    twin = nnx.LayerNorm(4, rngs=RNGS)
    interop.load_state_dict(twin, layer.state_dict())
    np.testing.assert_allclose(twin.scale[...], layer.double().weight.detach(), rtol=ROUNDING)


def test_spectral_norm_along_an_axis_that_its_vectors_tell():
    # torch.nn.utils.spectral_norm(conv, dim=1): rows are input channels, not what the layer's type has.
    torch.manual_seed(0)
    layer = torch.nn.utils.spectral_norm(torch.nn.Conv1d(2, 5, 3), dim=1).eval()
    state_dict = {key: value.clone() for key, value in layer.state_dict().items()}
    twin = nnx.Conv(2, 5, (3,), rngs=RNGS)
    interop.load_state_dict(twin, state_dict)
    np.testing.assert_allclose(interop.state_dict(twin)["weight"], effective(layer, (1, 2, 5)), rtol=ROUNDING)


def test_directions_without_length_are_nan_as_in_torch():
    layer = normed(torch.nn.Linear(3, 3), "new weight")
    with torch.no_grad():
        layer.parametrizations.weight.original1[1] = 0
    twin = nnx.Linear(3, 3, rngs=RNGS)
    interop.load_state_dict(twin, layer.state_dict())
    np.testing.assert_array_equal(np.isnan(twin.kernel[...].T), np.isnan(layer.weight.detach().numpy()))
    assert np.isnan(twin.kernel[...]).any()


W, ROW = np.ones((3, 3), "float32"), np.ones(3, "float32")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"weight_v": W}, "half of a parametrization: weight norm has weight_g and weight_v"),
        ({"weight_g": W[:, :1]}, "half of a parametrization"),
        ({"weight_g": W[:2, :1], "weight_v": W}, r"magnitude has shape \(2, 1\), its direction \(3, 3\)"),
        ({"weight_g": W[:, :1], "weight_v": W, "weight": W}, "not folded: weight is there as well"),
        (
            {"weight_g": W[:, :1], "weight_v": W}
            | {"parametrizations.weight.original0": W[:, :1], "parametrizations.weight.original1": W},
            "(?s)original0: not folded: weight is there as well.*original1: not folded",
        ),
        ({"weight_orig": W, "weight_u": ROW}, "half of a parametrization"),
        ({"weight_orig": W, "weight_u": ROW[:2], "weight_v": ROW}, r"vectors have shapes \(2,\) and \(3,\)"),
        ({"parametrizations.weight.original": W}, "a parametrization other than weight norm and spectral norm"),
        ({"parametrizations.weight.original": W, "parametrizations.weight.0.base": W}, "a parametrization other"),
    ],
)
def test_what_only_looks_like_one_is_reported(extra, words):
    with pytest.raises(interop.StateDictError, match=words):
        interop.load_state_dict(nnx.Linear(3, 3, rngs=RNGS), {"bias": ROW} | extra)


def test_two_parametrizations_on_top_of_each_other_are_refused():
    layer = P.spectral_norm(P.weight_norm(torch.nn.Linear(3, 3)))
    with pytest.raises(interop.StateDictError, match="a parametrization other than weight norm and spectral norm"):
        interop.load_state_dict(nnx.Linear(3, 3, rngs=RNGS), layer.state_dict())


def test_arrays_that_are_called_so_stay():
    class Net(nnx.Module):
        def __init__(self):
            self.gate_g, self.gate_v = nnx.Param(jnp.ones(3)), nnx.Param(jnp.ones(3))

    net = Net()
    assert interop.load_state_dict(net, {"gate_g": ROW, "gate_v": 2 * ROW}).ok
    assert net.gate_v[0] == 2
