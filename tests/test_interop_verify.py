"""`verify` finds a planted fault, names its layer, and leaves both models as they were."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx
from jax_tconv import interop

torch = pytest.importorskip("torch")
RNGS = nnx.Rngs(0)


class Original(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(4, 4, 3, padding=1)
        self.blocks = torch.nn.ModuleList([torch.nn.BatchNorm2d(4), torch.nn.ReLU(inplace=True)])
        self.up = torch.nn.ConvTranspose2d(4, 4, 4, 2, 1)
        self.drop = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(4, 4)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        x = self.drop(self.up(x))
        return self.head(x.movedim(1, -1)).movedim(-1, 1)


class Twin(nnx.Module):
    def __init__(self, padding=1, slope=0.0):
        self.stem = nnx.Conv(4, 4, (3, 3), padding=1, rngs=RNGS)
        self.blocks = nnx.List([nnx.BatchNorm(4, rngs=RNGS)])
        self.up = jax_tconv.nnx.ConvTranspose(4, 4, (4, 4), 2, padding=padding, rngs=RNGS)
        self.drop = nnx.Dropout(0.5, rngs=RNGS)
        self.head = nnx.Linear(4, 4, rngs=RNGS)
        self.slope = slope

    def __call__(self, x):
        x = self.blocks[0](self.stem(x))
        x = jnp.maximum(x, self.slope * x)
        return self.head(self.drop(self.up(x)))


class LinenTwin(nn.Module):
    padding: int = 1

    def setup(self):
        self.stem = nn.Conv(4, (3, 3), padding=1)
        self.blocks = [nn.BatchNorm()]
        self.up = jax_tconv.linen.ConvTranspose(4, (4, 4), 2, padding=self.padding)
        self.head = nn.Dense(4)

    def __call__(self, x, train=True):
        x = nn.relu(self.blocks[0](self.stem(x), use_running_average=not train))
        return self.head(self.up(x))


@pytest.fixture(scope="module")
def original():
    torch.manual_seed(0)
    module = Original()
    with torch.no_grad():
        for tensor in [*module.blocks[0].parameters(), module.blocks[0].running_mean, module.blocks[0].running_var]:
            tensor.uniform_(0.5, 2)
    return module


X = np.random.default_rng(0).standard_normal((2, 4, 6, 6), "float32")


def nnx_twin(original, **arguments):
    twin = Twin(**arguments)
    interop.load_state_dict(twin, original.state_dict())
    return twin


def linen_twin(original, change=lambda state_dict: state_dict, **arguments):
    module, image = LinenTwin(**arguments), jnp.ones((1, 6, 6, 4))
    return module.bind(interop.linen_variables(module, change(original.state_dict()), image)[0])


def test_equal_models_are_equal(original):
    found = interop.verify(original, nnx_twin(original), torch.from_numpy(X))
    assert found.ok
    assert found.first_difference is None
    assert [layer.name for layer in found.layers] == ["stem", "blocks.0", "up", "drop", "head"]
    assert max(layer.relative for layer in (*found.layers, *found.outputs)) < 1e-6
    assert found.verdict.startswith("5 layers and the output agree; the largest relative difference is ")
    found = interop.verify(original, linen_twin(original), X, flax_kwargs={"train": False})
    assert found.ok
    assert [layer.name for layer in found.layers] == ["stem", "blocks.0", "up", "head"]


def test_both_models_are_left_as_they_were(original):
    twin = nnx_twin(original)
    twin.train()
    twin.head.eval()
    original.train()
    original.head.eval()
    before = {name: value.clone() for name, value in original.state_dict().items()}
    calls = [cls.__call__ for cls in (Twin, nnx.Conv, nnx.BatchNorm)]
    assert interop.verify(original, twin, X).ok
    assert original.training
    assert original.up.training
    assert not original.head.training
    assert not twin.blocks[0].use_running_average
    assert not original.up._forward_hooks
    assert [cls.__call__ for cls in (Twin, nnx.Conv, nnx.BatchNorm)] == calls
    for name, value in original.state_dict().items():
        assert value.equal(before[name])
    original.eval()


def flip(state_dict):
    return state_dict | {"up.weight": state_dict["up.weight"].flip(2)}


def swap_statistics(state_dict):
    mean, var = state_dict["blocks.0.running_mean"], state_dict["blocks.0.running_var"]
    return state_dict | {"blocks.0.running_mean": var, "blocks.0.running_var": mean}


def swap_scale_and_bias(state_dict):
    scale, bias = state_dict["blocks.0.weight"], state_dict["blocks.0.bias"]
    return state_dict | {"blocks.0.weight": bias, "blocks.0.bias": scale}


@pytest.mark.parametrize(
    ("change", "name"), [(flip, "up"), (swap_statistics, "blocks.0"), (swap_scale_and_bias, "blocks.0")]
)
def test_wrong_values_are_found(original, change, name):
    twin = nnx_twin(original)
    interop.load_state_dict(twin, change(original.state_dict()))
    for found in (
        interop.verify(original, twin, X),
        interop.verify(original, linen_twin(original, change), X, flax_kwargs={"train": False}),
    ):
        assert not found.ok
        assert found.first_difference.name == name
        assert found.first_difference.relative > 0.01
        assert f"'{name}' is the first layer that differs, by " in found.verdict
        assert "its input agrees, but its " in found.verdict
        assert f"differs   {name} " in str(found)


def test_how_much_a_layer_differs_is_right(original):
    twin = nnx_twin(original)
    twin.head.bias.set_value(twin.head.bias[...] + jnp.array([0, 0.5, 0, 0]))
    found = interop.verify(original, twin, X).first_difference
    with torch.no_grad():
        largest = float(abs(original.eval()(torch.from_numpy(X))).max())
    assert found.name == "head"
    assert found.difference == pytest.approx(0.5, rel=1e-5)
    assert found.relative == pytest.approx(0.5 / largest, rel=1e-5)


def test_a_wrong_padding_is_found(original):
    for found in (
        interop.verify(original, nnx_twin(original, padding=0), X),
        interop.verify(original, linen_twin(original, padding=0), X, flax_kwargs={"train": False}),
    ):
        assert found.first_difference.name == "up"
        words = "'up' differs in shape: (2, 12, 12, 4) in PyTorch, (2, 14, 14, 4) in Flax; its input agrees"
        assert found.verdict.startswith(words)
        assert "padding=(1, 1)" in found.verdict
    # The same shape, but shifted: one row from the other end.
    found = interop.verify(original, nnx_twin(original, padding=((2, 0), (1, 1))), X)
    assert found.first_difference.name == "up"


def test_a_fault_between_layers_is_told_apart(original):
    found = interop.verify(original, nnx_twin(original, slope=0.2), X)
    assert found.first_difference.name == "up"
    assert "its input already differs, by " in found.verdict


def test_a_model_that_raises_shows_how_far_it_got(original):
    class Broken(Twin):
        def __call__(self, x):
            super().__call__(x)
            raise RuntimeError("shapes do not fit")

    twin = Broken()
    interop.load_state_dict(twin, original.state_dict())
    found = interop.verify(original, twin, X)
    assert not found.ok
    assert len(found.layers) == 5
    assert found.verdict.startswith("the Flax model raised RuntimeError in Broken: shapes do not fit; ")


def test_names_in_common_are_not_needed(original):
    net = torch.nn.Sequential(torch.nn.ConvTranspose1d(3, 3, 3))
    twin = jax_tconv.nnx.ConvTranspose(3, 3, (3,), rngs=RNGS)
    interop.load_state_dict(twin, net.state_dict(), rename={"0.": ""})
    found = interop.verify(net, twin, torch.ones(1, 3, 4))
    assert found.ok
    assert found.verdict.startswith("the output (no layers share a name) agree")
    twin.bias.set_value(twin.bias[...] + 1)
    assert interop.verify(net, twin, torch.ones(1, 3, 4)).verdict.startswith("all shared layers agree, but the output")


def test_renamed_layers_are_compared():
    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.Linear(3, 3))

    class Net(nnx.Module):
        def __init__(self):
            self.one, self.two = nnx.Linear(3, 3, rngs=RNGS), nnx.Linear(3, 3, rngs=RNGS)

        def __call__(self, x):
            return self.two(nnx.tanh(self.one(x)))

    twin, rename = Net(), {"0": "one", "2": "two"}
    interop.load_state_dict(twin, net.state_dict(), rename=rename)
    x = torch.randn(2, 5, 3)
    found = interop.verify(net, twin, x, flax_inputs=(x.numpy(),), rename=rename)
    assert found.ok
    assert [layer.name for layer in found.layers] == ["0", "2"]


def test_layers_that_give_several_arrays():
    net = torch.nn.ModuleDict({"cell": torch.nn.LSTMCell(3, 3), "attention": torch.nn.MultiheadAttention(4, 2)})

    class Both(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = net

        def forward(self, x, h, c, q):
            return self.parts["cell"](x, (h, c))[0], self.parts["attention"](q, q, q)[0]

    class Twin(nnx.Module):
        def __init__(self):
            cell = nnx.LSTMCell(3, 3, rngs=RNGS)
            self.parts = nnx.Dict(cell=cell, attention=nnx.MultiHeadAttention(2, 4, decode=False, rngs=RNGS))

        def __call__(self, x, h, c, q):
            return self.parts["cell"]((c, h), x)[1], self.parts["attention"](q)

    original, twin = Both(), Twin()
    interop.load_state_dict(twin, original.state_dict())
    x, h, c, q = torch.randn(2, 3), torch.randn(2, 3), torch.randn(2, 3), torch.randn(5, 4)
    found = interop.verify(original, twin, x, h, c, q)
    assert found.ok
    assert [layer.name for layer in found.layers] == ["parts.cell", "parts.attention"]
    twin.parts["cell"].ig.kernel.set_value(-twin.parts["cell"].ig.kernel[...])
    assert interop.verify(original, twin, x, h, c, q).first_difference.name == "parts.cell"


def test_arguments_of_the_wrong_kind(original):
    twin = nnx_twin(original)
    with pytest.raises(TypeError, match="torch_module must be a torch.nn.Module, got Twin"):
        interop.verify(twin, original, X)
    with pytest.raises(TypeError, match="inputs must be what the torch module is called with"):
        interop.verify(original, twin)
    with pytest.raises(TypeError, match=r"got LinenTwin without variables; bind it: module.bind\(variables\)"):
        interop.verify(original, LinenTwin(), X)
    with pytest.raises(TypeError, match="flax_model must be an nnx model or a bound linen module, got Original"):
        interop.verify(original, original, X)
    words = r"the PyTorch model raised RuntimeError in 'stem' \(Conv2d\): Given groups=1, .* got 2 channels instead"
    with pytest.raises(ValueError, match=words):
        interop.verify(original, twin, X[:, :2])
