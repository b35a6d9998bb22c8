"""Correct models with axes of one size, or in another order in PyTorch: none is rejected, and faults are found."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jax_tconv.nnx
from jax_tconv import interop

torch = pytest.importorskip("torch")
RNGS = nnx.Rngs(0)
# As many examples as channels, rows and columns.
CUBE = np.random.default_rng(0).standard_normal((8, 8, 8), "float32")
MAPS = np.random.default_rng(0).standard_normal((4, 4, 4, 4), "float32")


def torch_model(forward, **parts):
    """A torch module with these parts and this method."""
    torch.manual_seed(0)
    made = {name: part() for name, part in parts.items()}

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, part in made.items():
                setattr(self, name, part)

    Model.forward = forward
    return Model()


def nnx_model(call, **parts):
    """An nnx module with these parts and this method."""

    class Model(nnx.Module):
        def __init__(self):
            for name, part in parts.items():
                setattr(self, name, part())

    Model.__call__ = call
    return Model()


def loaded(original, twin, **options):
    interop.load_state_dict(twin, original.state_dict(), **options)
    return twin


def rnn(cell=nnx.GRUCell, **options):
    return nnx.RNN(cell(8, 8, rngs=RNGS), **options)


class LayerNorm2d(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(channels))
        self.bias = torch.nn.Parameter(torch.rand(channels))

    def forward(self, x):
        mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
        return (x - mean) / torch.sqrt(variance + 1e-6) * self.weight[:, None, None] + self.bias[:, None, None]


def conv():
    return torch.nn.Conv2d(4, 4, 3, padding=1)


def flax_conv():
    return nnx.Conv(4, 4, (3, 3), padding=1, rngs=RNGS)


# For each: PyTorch's model, Flax's, and the input.
CORRECT = {
    "a Linear on a sequence": (
        torch_model(lambda self, x: self.linear(x).tanh(), linear=lambda: torch.nn.Linear(8, 8)),
        nnx_model(lambda self, x: nnx.tanh(self.linear(x)), linear=lambda: nnx.Linear(8, 8, rngs=RNGS)),
        CUBE,
    ),
    "a convolution of a sequence": (
        torch_model(lambda self, x: self.conv(x).tanh(), conv=lambda: torch.nn.ConvTranspose1d(8, 8, 3, padding=1)),
        nnx_model(
            lambda self, x: nnx.tanh(self.conv(x)),
            conv=lambda: jax_tconv.nnx.ConvTranspose(8, 8, (3,), padding=1, rngs=RNGS),
        ),
        CUBE,
    ),
    "a convolution without a batch": (
        torch_model(lambda self, x: self.conv(x).tanh(), conv=lambda: torch.nn.Conv1d(8, 8, 3, padding=1)),
        nnx_model(lambda self, x: nnx.tanh(self.conv(x)), conv=lambda: nnx.Conv(8, 8, (3,), padding=1, rngs=RNGS)),
        CUBE[0],
    ),
    "a Linear over a map's last axis": (
        torch_model(lambda self, x: self.linear(self.conv(x)).relu(), conv=conv, linear=lambda: torch.nn.Linear(4, 4)),
        nnx_model(
            lambda self, x: nnx.relu(jnp.moveaxis(self.linear(jnp.moveaxis(self.conv(x), -1, 1)), 1, -1)),
            conv=flax_conv,
            linear=lambda: nnx.Linear(4, 4, rngs=RNGS),
        ),
        MAPS,
    ),
    "a Linear over a map's last axis, its rows in another order": (
        torch_model(lambda self, x: self.linear(self.conv(x)).relu(), conv=conv, linear=lambda: torch.nn.Linear(4, 4)),
        nnx_model(
            lambda self, x: nnx.relu(self.linear(self.conv(x).swapaxes(-1, -2)).swapaxes(-1, -2)),
            conv=flax_conv,
            linear=lambda: nnx.Linear(4, 4, rngs=RNGS),
        ),
        MAPS,
    ),
    "channels last for a while": (
        torch_model(
            lambda self, x: self.up(self.norm(self.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)),
            conv=conv,
            norm=lambda: torch.nn.LayerNorm(4),
            up=lambda: torch.nn.ConvTranspose2d(4, 4, 2, 2),
        ),
        nnx_model(
            lambda self, x: self.up(self.norm(self.conv(x))),
            conv=flax_conv,
            norm=lambda: nnx.LayerNorm(4, epsilon=1e-5, rngs=RNGS),
            up=lambda: jax_tconv.nnx.ConvTranspose(4, 4, (2, 2), 2, rngs=RNGS),
        ),
        MAPS,
    ),
    "a norm of one's own": (
        torch_model(lambda self, x: self.norm(self.conv(x)), conv=conv, norm=lambda: LayerNorm2d(4)),
        nnx_model(lambda self, x: self.norm(self.conv(x)), conv=flax_conv, norm=lambda: nnx.LayerNorm(4, rngs=RNGS)),
        MAPS,
    ),
    "patches as tokens": (
        torch_model(
            lambda self, x: self.head(self.conv(x).flatten(2).transpose(1, 2)).softmax(-1),
            conv=lambda: torch.nn.Conv2d(4, 4, 2, 2),
            head=lambda: torch.nn.Linear(4, 4),
        ),
        nnx_model(
            lambda self, x: nnx.softmax(self.head(self.conv(x).reshape(4, 4, 4))),
            conv=lambda: nnx.Conv(4, 4, (2, 2), 2, padding=0, rngs=RNGS),
            head=lambda: nnx.Linear(4, 4, rngs=RNGS),
        ),
        MAPS,
    ),
    "tokens and channels mixed": (
        torch_model(
            lambda self, x: self.channels(x + self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2)),
            norm=lambda: torch.nn.LayerNorm(8),
            tokens=lambda: torch.nn.Linear(8, 8),
            channels=lambda: torch.nn.Linear(8, 8),
        ),
        nnx_model(
            lambda self, x: self.channels(x + self.tokens(self.norm(x).swapaxes(1, 2)).swapaxes(1, 2)),
            norm=lambda: nnx.LayerNorm(8, epsilon=1e-5, rngs=RNGS),
            tokens=lambda: nnx.Linear(8, 8, rngs=RNGS),
            channels=lambda: nnx.Linear(8, 8, rngs=RNGS),
        ),
        CUBE,
    ),
    "a map of classes": (
        torch_model(lambda self, x: self.conv(x).argmax(1), conv=conv),
        nnx_model(lambda self, x: self.conv(x).argmax(-1), conv=flax_conv),
        MAPS,
    ),
    "time first in PyTorch": (
        torch_model(lambda self, x: self.rnn(x)[0].tanh(), rnn=lambda: torch.nn.LSTM(8, 8)),
        nnx_model(lambda self, x: nnx.tanh(self.rnn(x)), rnn=lambda: rnn(nnx.OptimizedLSTMCell)),
        CUBE,
    ),
    "the last step, time first in PyTorch": (
        torch_model(
            lambda self, x: self.head(self.rnn(x)[0][-1]),
            rnn=lambda: torch.nn.LSTM(8, 8),
            head=lambda: torch.nn.Linear(8, 8),
        ),
        nnx_model(
            lambda self, x: self.head(self.rnn(x)[:, -1]),
            rnn=lambda: rnn(nnx.OptimizedLSTMCell),
            head=lambda: nnx.Linear(8, 8, rngs=RNGS),
        ),
        CUBE,
    ),
    "the batch first in both": (
        torch_model(lambda self, x: self.rnn(x)[0].tanh(), rnn=lambda: torch.nn.LSTM(8, 8, batch_first=True)),
        nnx_model(lambda self, x: nnx.tanh(self.rnn(x)), rnn=lambda: rnn(nnx.OptimizedLSTMCell)),
        CUBE,
    ),
    "attention, time first in PyTorch": (
        torch_model(lambda self, x: self.attend(x, x, x)[0], attend=lambda: torch.nn.MultiheadAttention(8, 2)),
        nnx_model(
            lambda self, x: self.attend(x),
            attend=lambda: nnx.MultiHeadAttention(2, 8, decode=False, rngs=RNGS),
        ),
        CUBE,
    ),
    "an embedding as long as its features": (
        torch_model(lambda self, x: self.embed(x).relu(), embed=lambda: torch.nn.Embedding(9, 8)),
        nnx_model(lambda self, x: nnx.relu(self.embed(x)), embed=lambda: nnx.Embed(9, 8, rngs=RNGS)),
        np.arange(64).reshape(8, 8) % 9,
    ),
}


@pytest.mark.parametrize(("original", "twin", "x"), CORRECT.values(), ids=CORRECT)
def test_correct_models(original, twin, x):
    loaded(original, twin)
    found = interop.verify(original, twin, x)
    assert found.ok, found
    assert not found.outputs[0].assumed
    assert {layer.name for layer in found.layers} == {*dict(original.named_children())}
    assert all(layer.ok for layer in found.layers)


@pytest.mark.parametrize(("original", "twin", "x"), CORRECT.values(), ids=CORRECT)
def test_a_fault_in_each_of_their_layers(original, twin, x):
    for name in dict(original.named_children()):
        loaded(original, twin)
        parameters = [
            v for _, m in nnx.iter_modules(getattr(twin, name)) for v in vars(m).values() if isinstance(v, nnx.Param)
        ]
        largest = max(parameters, key=lambda parameter: parameter[...].size)
        largest.set_value(largest[...] + np.random.default_rng(1).normal(size=largest.shape))


def test_a_norm_over_a_whole_map():
    """Its axes are in another order in Flax, and so are its weights."""
    original = torch_model(
        lambda self, x: self.norm(self.conv(x)), conv=conv, norm=lambda: torch.nn.LayerNorm([4, 4, 4])
    )
    torch.nn.init.normal_(original.norm.weight)
    twin = nnx_model(
        lambda self, x: self.norm(self.conv(x)),
        conv=flax_conv,
        norm=lambda: jax_tconv.nnx.LayerNorm((4, 4, 4), rngs=RNGS),
    )
    layouts = {"norm.*": "c h w -> h w c"}
    loaded(original, twin, layouts=layouts)
    assert interop.verify(original, twin, MAPS, layouts=layouts).ok
    loaded(original, twin)
    found = interop.verify(original, twin, MAPS, layouts=layouts)
    assert found.first_difference.name == "norm"
    assert "its scale is not what norm.weight makes: its axes are in another order" in found.verdict


LAYERS = {"LSTM": nnx.OptimizedLSTMCell, "GRU": jax_tconv.nnx.GRUCell}


@pytest.mark.parametrize("name", LAYERS)
def test_several_recurrent_layers_of_both_directions(name):
    def make():
        def one(features, **options):
            return nnx.RNN(LAYERS[name](features, 8, rngs=RNGS), **options)

        sides = [(one(n), one(n, reverse=True, keep_order=True)) for n in (8, 16)]
        return nnx.List([nnx.Bidirectional(*both) for both in sides])

    original = torch_model(
        lambda self, x: self.rnn(x)[0], rnn=lambda: getattr(torch.nn, name)(8, 8, num_layers=2, bidirectional=True)
    )
    twin = nnx_model(lambda self, x: self.rnn[1](self.rnn[0](x)), rnn=make)
    loaded(original, twin)
    found = interop.verify(original, twin, CUBE)
    assert found.ok, found
    assert [(one.name, one.reason) for one in found.not_compared] == [
        ("rnn", "layer 1 of 2: PyTorch shows the output of the last")
    ]
    kernel = twin.rnn[1].backward_rnn.cell.dense_h.kernel
    kernel.set_value(kernel[...] * 2)
    assert interop.verify(original, twin, CUBE).first_difference.name == "rnn"


def bidirectional(name, **options):
    return torch_model(
        lambda self, x: self.rnn(x)[0], rnn=lambda: getattr(torch.nn, name)(8, 8, bidirectional=True, **options)
    )


BOTH_WAYS = {"rnn.weight_ih_l0_reverse": "back.weight_ih_l0", "rnn.weight_hh_l0_reverse": "back.weight_hh_l0"}
BOTH_WAYS |= {"rnn.bias_ih_l0_reverse": "back.bias_ih_l0", "rnn.bias_hh_l0_reverse": "back.bias_hh_l0"}


@pytest.mark.parametrize("how", ["keep_order", "turned after", "turned before and after"])
def test_a_bidirectional_layer_written_as_two(how):
    def call(self, x):
        back = self.back(x[:, ::-1])[:, ::-1] if how == "turned before and after" else self.back(x)
        return jnp.concatenate([self.rnn(x), back[:, ::-1] if how == "turned after" else back], -1)

    options = {"reverse": how != "turned before and after", "keep_order": how == "keep_order"}
    back = nnx.RNN(nnx.OptimizedLSTMCell(8, 8, rngs=RNGS), **options)
    original, twin = bidirectional("LSTM"), nnx_model(call, rnn=lambda: rnn(nnx.OptimizedLSTMCell), back=lambda: back)
    loaded(original, twin, rename=BOTH_WAYS)
    found = interop.verify(original, twin, CUBE, rename=BOTH_WAYS)
    assert found.ok, found
    assert [layer.ok for layer in found.layers] == [True, True]
    twin.back.cell.dense_h.kernel.set_value(twin.back.cell.dense_h.kernel[...] * 2)
    found = interop.verify(original, twin, CUBE, rename=BOTH_WAYS)
    assert not found.ok
    assert "its dense_h.kernel is not what rnn.weight_hh_l0_reverse makes" in found.verdict


class LinenRecurrent(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.RNN(nn.GRUCell(8), name="rnn")(x)


class LinenListed(nn.Module):
    def setup(self):
        self.rnn = nn.RNN(nn.GRUCell(8))

    def __call__(self, x):
        return self.rnn(x)


@pytest.mark.parametrize("kind", [LinenRecurrent, LinenListed])
def test_a_recurrent_layer_in_linen(kind):
    original = torch_model(lambda self, x: self.rnn(x)[0], rnn=lambda: torch.nn.GRU(8, 8, batch_first=True))
    variables, _ = interop.linen_variables(kind(), original.state_dict(), CUBE)
    found = interop.verify(original, kind().bind(variables), CUBE)
    assert found.ok, found
    assert [layer.name for layer in found.layers] == ["rnn"]
    params = variables["params"]
    cell = params["rnn"]["cell"] if "rnn" in params else params["GRUCell_0"]
    cell["hn"]["kernel"] = cell["hn"]["kernel"] * 2
    found = interop.verify(original, kind().bind(variables), CUBE)
    assert found.first_difference.name == "rnn"
    assert "its hn.kernel is not what rnn.weight_hh_l0 makes" in found.verdict


@pytest.mark.parametrize("attribute", ["modules", "children", "named_modules", "train"])
def test_attributes_that_hide_torchs_methods(attribute):
    original = torch_model(
        lambda self, x: self.drop(self.linear(x)), linear=lambda: torch.nn.Linear(8, 8), drop=lambda: torch.nn.Dropout()
    )
    setattr(original, attribute, [])
    twin = nnx_model(lambda self, x: self.linear(x), linear=lambda: nnx.Linear(8, 8, rngs=RNGS))
    loaded(original, twin)
    assert interop.verify(original, twin, CUBE).ok
    assert original.training
    assert original.drop.training


def test_calls_in_another_order_and_a_shared_layer():
    linear = lambda: torch.nn.Linear(8, 8)
    flax_linear = lambda: nnx.Linear(8, 8, rngs=RNGS)
    original = torch_model(lambda self, x: self.a(x) + self.a(2 * x) + self.b(x), a=linear, b=linear)
    twin = nnx_model(lambda self, x: self.b(x) + self.a(2 * x) + self.a(x), a=flax_linear, b=flax_linear)
    loaded(original, twin)
    found = interop.verify(original, twin, CUBE)
    assert found.ok, found
    assert [layer.name for layer in found.layers] == ["a", "b"]
