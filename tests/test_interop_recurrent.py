"""torch's LSTM and GRU, with all their layers and directions, against Flax's RNNs in whatever holds them."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jax_tconv.nnx
from jax_tconv import interop

torch = pytest.importorskip("torch")
RNGS = nnx.Rngs(0)
SIZE = 3  # of inputs and outputs: equal, so that only values tell them apart
NNX = {"LSTM": nnx.LSTMCell, "GRU": jax_tconv.nnx.GRUCell}
LINEN = {"LSTM": nn.OptimizedLSTMCell, "GRU": nn.GRUCell}


class Both(nnx.Module):
    """Two directions as many write them: the names say nothing, `reverse` does."""

    def __init__(self, cell, size):
        self.b = nnx.RNN(cell(size), reverse=True, keep_order=True)
        self.dropout = nnx.Dropout(0.0, rngs=RNGS)
        self.a = nnx.RNN(cell(size))

    def __call__(self, x):
        return jnp.concatenate([self.a(x), self.b(x)], -1)


class LinenBoth(nn.Module):
    cell: object

    def setup(self):
        self.b = nn.RNN(self.cell(), reverse=True, keep_order=True)
        self.a = nn.RNN(self.cell())

    def __call__(self, x):
        return jnp.concatenate([self.a(x), self.b(x)], -1)


class Chain(nnx.Module):
    """A list of two layers, with dropout between them."""

    def __init__(self, first, second, width):
        self.lstm = nnx.List([first, nnx.Dropout(0.0, rngs=RNGS), second])
        self.head = nnx.Linear(width, 2, rngs=RNGS)

    def __call__(self, x):
        for layer in self.lstm:
            x = layer(x)
        return self.head(x)


class Direct(nnx.Module):
    def __init__(self, lstm, width):
        self.lstm = lstm
        self.head = nnx.Linear(width, 2, rngs=RNGS)

    def __call__(self, x):
        return self.head(self.lstm(x))


class LinenChain(nn.Module):
    make: object
    count: int
    sequential: bool = False

    def setup(self):
        layers = [self.make() for _ in range(self.count)]
        self.lstm = nn.Sequential(layers) if self.sequential else layers
        self.head = nn.Dense(2)

    def __call__(self, x):
        for layer in [self.lstm] if self.sequential else self.lstm:
            x = layer(x)
        return self.head(x)


class Compact(nn.Module):
    """In a compact method, linen names the parts of a Bidirectional beside it."""

    make: object

    @nn.compact
    def __call__(self, x):
        return nn.Dense(2, name="head")(self.make(name="lstm")(x))


class Original(torch.nn.Module):
    def __init__(self, kind, layers, both):
        super().__init__()
        torch.manual_seed(0)
        self.lstm = getattr(torch.nn, kind)(SIZE, SIZE, layers, bidirectional=both, batch_first=True)
        self.head = torch.nn.Linear(SIZE * (1 + both), 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0])


def inputs():
    return torch.randn(2, 5, SIZE, generator=torch.Generator().manual_seed(1))


def check(tensors, state_dict):
    """The names are torch's, in its order, and the tensors its own, apart from biases that were added up."""
    assert list(tensors) == list(state_dict)
    for name, tensor in tensors.items():
        other = name.replace("bias_ih", "bias_hh")
        if other != name:
            wanted = state_dict[name] + state_dict[other]
            np.testing.assert_array_equal(tensor + tensors[other], wanted.numpy())
        elif "bias_hh" not in name:
            assert tensor.tobytes() == state_dict[name].numpy().tobytes()


def check_nnx(original, twin):
    x = inputs()
    interop.load_state_dict(twin, original.state_dict())
    np.testing.assert_allclose(twin(x.numpy()), original(x).detach().numpy(), rtol=0, atol=2e-6)
    check(interop.state_dict(twin), original.state_dict())


def check_linen(original, module):
    x = inputs()
    variables, _ = interop.linen_variables(module, original.state_dict(), x.numpy())
    y = module.apply(variables, x.numpy())
    np.testing.assert_allclose(y, original(x).detach().numpy(), rtol=0, atol=2e-6)
    exported = interop.linen_state_dict(module, variables, x.numpy())
    check(exported, original.state_dict())
    original.load_state_dict(interop.to_torch(exported))
    np.testing.assert_allclose(y, original(x).detach().numpy(), rtol=0, atol=2e-6)


@pytest.mark.parametrize("form", ["rnn", "bidirectional", "module"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_layers_and_directions_in_nnx(kind, form):
    one = lambda size: nnx.RNN(NNX[kind](size, SIZE, rngs=RNGS))
    layer = {
        "rnn": one,
        "bidirectional": lambda size: nnx.Bidirectional(one(size), one(size)),
        "module": lambda size: Both(lambda size: NNX[kind](size, SIZE, rngs=RNGS), size),
    }[form]
    both = form != "rnn"
    width = SIZE * (1 + both)
    check_nnx(Original(kind, 2, both), Chain(layer(SIZE), layer(width), width))
    check_nnx(Original(kind, 2, both), Direct(nnx.Sequential(layer(SIZE), layer(width)), width))
    check_nnx(Original(kind, 1, both), Direct(layer(SIZE), width))


@pytest.mark.parametrize("form", ["rnn", "bidirectional", "module"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_layers_and_directions_in_linen(kind, form):
    cell = LINEN[kind]
    layer = {
        "rnn": lambda **name: nn.RNN(cell(SIZE), **name),
        "bidirectional": lambda **name: nn.Bidirectional(nn.RNN(cell(SIZE)), nn.RNN(cell(SIZE)), **name),
        "module": lambda **name: LinenBoth(lambda: cell(SIZE), **name),
    }[form]
    both = form != "rnn"
    check_linen(Original(kind, 2, both), LinenChain(layer, 2))
    check_linen(Original(kind, 2, both), LinenChain(layer, 2, sequential=True))
    check_linen(Original(kind, 1, both), Compact(layer))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_recurrent_layer_is_the_whole_model(kind, both):
    torch.manual_seed(0)
    original = getattr(torch.nn, kind)(SIZE, SIZE, bidirectional=both, batch_first=True)
    x, state_dict = inputs(), original.state_dict()
    wanted = original(x)[0].detach()
    ones = [nnx.RNN(NNX[kind](SIZE, SIZE, rngs=RNGS)) for _ in range(2)]
    twin = nnx.Bidirectional(*ones) if both else ones[0]
    interop.load_state_dict(twin, state_dict)
    np.testing.assert_allclose(twin(x.numpy()), wanted, rtol=0, atol=2e-6)
    check(interop.state_dict(twin), state_dict)
    ones = [nn.RNN(LINEN[kind](SIZE)) for _ in range(2)]
    module = nn.Bidirectional(*ones) if both else ones[0]
    variables, _ = interop.linen_variables(module, state_dict, x.numpy())
    np.testing.assert_allclose(module.apply(variables, x.numpy()), wanted, rtol=0, atol=2e-6)
    check(interop.linen_state_dict(module, variables, x.numpy()), state_dict)


def test_names_that_say_nothing_are_paired_by_order():
    original = Original("LSTM", 2, True)
    make = lambda **name: nn.Bidirectional(nn.RNN(nn.LSTMCell(SIZE)), nn.RNN(nn.LSTMCell(SIZE)), **name)
    renamed = {name.replace("lstm", "encoder.rnn"): tensor for name, tensor in original.state_dict().items()}
    x = inputs()
    module = LinenChain(make, 2)
    variables, _ = interop.linen_variables(module, renamed, x.numpy(), match="order")
    np.testing.assert_allclose(module.apply(variables, x.numpy()), original(x).detach(), rtol=0, atol=2e-6)


def test_rnns_that_are_not_the_layers_of_one_module():
    """Of other sizes, of other kinds, a single one, or beside other layers: their names are those of a ModuleList."""
    rnn = lambda i, o, cell=nnx.OptimizedLSTMCell: nnx.RNN(cell(i, o, rngs=RNGS))
    for kinds in (
        [rnn(3, 4), rnn(4, 5)],
        [rnn(3, 4), rnn(3, 4)],
        [rnn(3, 3), rnn(3, 3, nnx.GRUCell)],
        [rnn(3, 3)],
        [rnn(3, 3), nnx.Linear(3, 3, rngs=RNGS), rnn(3, 3)],
        [rnn(3, 3), nnx.RNN(nnx.OptimizedLSTMCell(3, 3, rngs=RNGS), reverse=True)],
    ):
        names = list(interop.state_dict(nnx.Sequential(*kinds)))
        assert {name for name in names if "weight_ih" in name} == {
            f"{n}.weight_ih_l0" for n, layer in enumerate(kinds) if isinstance(layer, nnx.RNN)
        }


def test_a_list_of_modules_is_loaded_by_its_own_names():
    """In torch a ModuleList of LSTMs; on the way back, the names of one LSTM with two layers."""
    originals = torch.nn.ModuleList([torch.nn.LSTM(3, 3, batch_first=True) for _ in range(2)])
    twin = nnx.Sequential(*(nnx.RNN(nnx.OptimizedLSTMCell(3, 3, rngs=RNGS)) for _ in range(2)))
    interop.load_state_dict(twin, originals.state_dict())
    x = inputs()
    wanted = originals[1](originals[0](x)[0])[0].detach()
    np.testing.assert_allclose(twin(x.numpy()), wanted, rtol=0, atol=2e-6)
    names = {name: f"{name[-1]}.{name[:-1]}0" for name in interop.state_dict(twin)}
    assert list(interop.state_dict(twin, rename=names.get)) == list(originals.state_dict())


def test_a_model_with_fewer_layers_or_directions():
    original = Original("LSTM", 2, True)
    for twin in (
        Direct(nnx.RNN(nnx.LSTMCell(SIZE, SIZE, rngs=RNGS)), 2 * SIZE),
        Direct(nnx.Bidirectional(*(nnx.RNN(nnx.LSTMCell(SIZE, SIZE, rngs=RNGS)) for _ in range(2))), 2 * SIZE),
    ):
        with pytest.raises(interop.StateDictError, match=r"weight_ih_l1: .* a list of RNNs .* a Bidirectional both"):
            interop.load_state_dict(twin, original.state_dict())
    renamed = {f"other.{name}": tensor for name, tensor in original.state_dict().items()}
    with pytest.raises(interop.StateDictError) as caught:
        interop.load_state_dict(twin, renamed)
    assert "Bidirectional" not in str(caught.value)


def test_a_gru_with_both_biases():
    """Ours has torch's inner bias, so that every tensor comes back bit for bit."""
    torch.manual_seed(0)
    layer, twin = torch.nn.GRUCell(3, 4), jax_tconv.nnx.GRUCell(3, 4, rngs=RNGS)
    assert interop.load_state_dict(twin, layer.state_dict()).ok
    x, h = torch.randn(2, 3), torch.randn(2, 4)
    np.testing.assert_allclose(twin(h.numpy(), x.numpy())[1], layer(x, h).detach(), rtol=0, atol=1e-6)
    tensors = interop.state_dict(twin)
    assert list(tensors) == list(layer.state_dict())
    assert all(tensor.tobytes() == layer.state_dict()[name].numpy().tobytes() for name, tensor in tensors.items())
    carry = twin.initialize_carry((2, 3), RNGS)
    assert carry.shape == (2, 4)
    assert twin.num_feature_axes == 1
    with pytest.raises(interop.StateDictError, match=r"place for it; jax_tconv.nnx.GRUCell has"):
        interop.load_state_dict(nnx.GRUCell(3, 4, rngs=RNGS), layer.state_dict())


def test_attributes_with_the_names_of_the_parts():
    cells = {name: nnx.LSTMCell(3, 3, rngs=RNGS) for name in ("cell", "forward", "reverse", "layer")}
    for twin in (nnx.Dict(cells), nnx.Dict(reverse=nnx.Dict(cells))):
        model = nnx.Sequential(twin)
        names = list(interop.state_dict(model))
        assert len(names) == 16
        assert all(name.endswith(("weight_ih", "weight_hh", "bias_ih", "bias_hh")) for name in names)
