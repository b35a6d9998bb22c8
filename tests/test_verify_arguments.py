"""`verify` compares the arguments of layers, by what they mean, where the values show too little or nothing."""

import functools

import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx
from jax_tconv import interop

torch = pytest.importorskip("torch")
RNGS = nnx.Rngs(0)
X = np.random.default_rng(0).standard_normal((2, 8, 9, 9), "float32")
WITH = {"rngs": RNGS}
# What each layer of torch's is made with here; below, what the Flax layer has instead.
CONV, CONV_TRANSPOSE = (lambda **a: torch.nn.Conv2d(8, 8, 3, **a)), (lambda **a: torch.nn.ConvTranspose2d(8, 8, 3, **a))
FLAX_CONV = functools.partial(nnx.Conv, 8, 8, (3, 3), **WITH)
FLAX_TRANSPOSE = functools.partial(jax_tconv.nnx.ConvTranspose, 8, 8, (3, 3), **WITH)
NORM = functools.partial(nnx.BatchNorm, 8, momentum=0.9, **WITH)
WRONG = {
    "epsilon of a BatchNorm": (torch.nn.BatchNorm2d(8), NORM(epsilon=1e-6), "epsilon", 1e-5, 1e-6),
    "epsilon of a GroupNorm": (
        torch.nn.GroupNorm(2, 8),
        nnx.GroupNorm(8, 2, **WITH),
        "epsilon",
        1e-5,
        1e-6,
    ),
    "groups of a GroupNorm": (
        torch.nn.GroupNorm(2, 8),
        nnx.GroupNorm(8, 4, epsilon=1e-5, **WITH),
        "num_groups",
        2,
        4,
    ),
    "epsilon of an InstanceNorm": (
        torch.nn.InstanceNorm2d(8, affine=True),
        nnx.InstanceNorm(8, **WITH),
        "epsilon",
        1e-5,
        1e-6,
    ),
    "padding of a Conv": (CONV(padding=1), FLAX_CONV(padding=0), "padding", ((1, 1), (1, 1)), 0),
    "padding at other sizes": (CONV(padding=1, stride=2), FLAX_CONV(strides=2), "padding", ((1, 1), (1, 1)), "SAME"),
    "dilation of a Conv": (CONV(padding=2, dilation=2), FLAX_CONV(padding=2), "kernel_dilation", (2, 2), 1),
    "strides of a Conv": (CONV(stride=2), FLAX_CONV(strides=(2, 1), padding=0), "strides", (2, 2), (2, 1)),
    "groups of a Conv": (
        CONV(groups=2, bias=False),
        FLAX_CONV(padding=0, feature_group_count=2, use_bias=False),
        None,
        None,
        None,
    ),
    "padding of a ConvTranspose": (
        CONV_TRANSPOSE(stride=2, padding=1),
        FLAX_TRANSPOSE(strides=2),
        "padding",
        ((1, 1), (1, 1)),
        ((0, 0), (0, 0)),
    ),
    "a shifted SAME": (
        CONV_TRANSPOSE(stride=2, padding=1, output_padding=1),
        FLAX_TRANSPOSE(strides=2, padding="SAME"),
        "padding",
        ((1, 1), (1, 1)),
        "SAME",
    ),
}
RIGHT = {
    "SAME is 1": (CONV(padding=1), FLAX_CONV(padding="SAME")),
    "valid is 0": (CONV(padding="valid"), FLAX_CONV(padding="VALID")),
    "pairs": (CONV(padding=(1, 2)), FLAX_CONV(padding=((1, 1), (2, 2)))),
    "numbers, one per axis": (CONV(stride=(2, 2)), FLAX_CONV(strides=2, padding=0)),
    "no strides": (CONV(), FLAX_CONV(padding=0)),
    "padding 1 of stride 3 at an odd kernel": (CONV(stride=3), FLAX_CONV(strides=3, padding="VALID")),
    "a dilated kernel of one": (
        torch.nn.Conv2d(8, 8, 1, dilation=3),
        nnx.Conv(8, 8, (1, 1), padding=0, **WITH),
    ),
    "rows cut off at the end": (
        CONV_TRANSPOSE(stride=2, padding=1, output_padding=1),
        FLAX_TRANSPOSE(strides=2, padding=((1, 0), (1, 0))),
    ),
    "Flax's own, padded in its way": (
        CONV_TRANSPOSE(stride=2, padding=1),
        nnx.ConvTranspose(8, 8, (3, 3), strides=2, padding=((1, 1), (1, 1)), **WITH),
    ),
    "a norm": (torch.nn.BatchNorm2d(8, eps=1e-3), NORM(epsilon=0.001)),
    "reflection": (CONV(padding=1, padding_mode="reflect"), FLAX_CONV(padding="REFLECT")),
}


def verified(layer, twin, x=X):
    original, model = torch.nn.Sequential(layer), nnx.Sequential(twin)
    interop.load_state_dict(model, original.state_dict())
    return interop.verify(original, model, x)


@pytest.mark.parametrize(
    "case", [case for case in WRONG.values() if case[2]], ids=[n for n, c in WRONG.items() if c[2]]
)
def test_arguments_that_show(case):
    layer, twin, argument, asked, has = case
    found = verified(layer, twin)
    assert not found.ok
    (one,) = found.arguments
    assert (one.layer, one.argument, one.torch, one.flax, one.severity) == ("0", argument, asked, has, "error")
    assert f"'0' has {argument}={has!r} in Flax, where PyTorch's asks for {asked!r}" in found.verdict
    assert f"{argument}={has!r}" in found.table(width=250)


def test_an_epsilon_that_the_values_hardly_show():
    norm = torch.nn.BatchNorm2d(8)
    found = verified(norm, NORM(epsilon=1e-6))
    assert all(layer.ok for layer in (*found.layers, *found.outputs))
    assert not found.ok


@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT)
def test_arguments_that_mean_the_same(case):
    found = verified(*case)
    assert found.ok, found
    assert not found.arguments


@pytest.mark.parametrize(
    ("layer", "twin", "argument"),
    [
        (torch.nn.BatchNorm2d(8), nnx.BatchNorm(8, epsilon=1e-5, **WITH), "momentum"),
        (torch.nn.Dropout(0.3), nnx.Dropout(0.5, **WITH), "rate"),
    ],
)
def test_what_shows_in_training_alone_is_a_warning(layer, twin, argument):
    found = verified(layer, twin)
    assert found.ok
    (one,) = found.arguments
    assert (one.argument, one.severity) == (argument, "warning")
    assert f"'0' has {argument}=" in found.verdict
    assert "which shows in training alone" in found.verdict


class Slope(nnx.Module):
    def __init__(self, negative_slope):
        self.negative_slope = negative_slope

    def __call__(self, x):
        return nnx.leaky_relu(x, self.negative_slope)


@pytest.mark.parametrize(
    ("layer", "twin", "argument"),
    [
        (torch.nn.LeakyReLU(0.01), functools.partial(nnx.leaky_relu, negative_slope=0.01001), "negative_slope"),
        (torch.nn.LeakyReLU(0.010001), nnx.leaky_relu, "negative_slope"),
        (torch.nn.LeakyReLU(0.01), Slope(0.01001), "negative_slope"),
        (torch.nn.GELU(), nnx.gelu, "approximate"),
        (torch.nn.ELU(), functools.partial(nnx.elu, alpha=1.00001), "alpha"),
        (torch.nn.Softmax(1), functools.partial(nnx.softmax, axis=1), "axis"),
    ],
)
def test_arguments_of_activations(layer, twin, argument):
    found = verified(layer, twin)
    assert not found.ok
    assert [one.argument for one in found.arguments] == [argument]


@pytest.mark.parametrize(
    "twin", [nnx.relu, functools.partial(nnx.leaky_relu, negative_slope=0.0), lambda x: nnx.relu(x)]
)
def test_a_function_is_judged_by_its_values(twin):
    assert verified(torch.nn.ReLU(), twin).ok
    assert not verified(torch.nn.Tanh(), twin).ok


def test_both_sides_arguments_are_in_the_table():
    text = verified(torch.nn.BatchNorm2d(8), NORM(epsilon=1e-6)).table(width=250)
    assert "BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)" in text
    assert "BatchNorm(epsilon=1e-06, momentum=0.9)" in text


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(8, (3, 3), padding=1, name="conv")(x)
        x = nn.BatchNorm(True, name="norm")(x)
        return jax_tconv.linen.ConvTranspose(8, (3, 3), 2, padding=1, name="up")(x)


def test_linen():
    class Original(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(8, 8, 3, padding=1), torch.nn.BatchNorm2d(8, eps=1e-6)
            self.up = torch.nn.ConvTranspose2d(8, 8, 3, 2, padding=1)

        def forward(self, x):
            return self.up(self.norm(self.conv(x)))

    original = Original()
    variables, _ = interop.linen_variables(Linen(), original.state_dict(), X.transpose(0, 2, 3, 1))
    found = interop.verify(original, Linen().bind(variables), X)
    assert not found.ok
    names = [(one.layer, one.argument, one.severity) for one in found.arguments]
    assert names == [("norm", "epsilon", "error"), ("norm", "momentum", "warning")]


class Attention(nn.Module):
    heads: int
    dropout: float

    @nn.compact
    def __call__(self, x):
        layer = nn.MultiHeadDotProductAttention(
            self.heads, dropout_rate=self.dropout, deterministic=True, name="attention"
        )
        return layer(x)


class TorchAttention(torch.nn.Module):
    def __init__(self, heads, dropout):
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(8, heads, dropout, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


def test_what_torch_does_not_print():
    """torch prints no arguments of its attention, so that those of two are alike as text."""
    x, axes = X[:, 0, :, :8], dict.fromkeys(("(input)", "(output)"), "n l c -> n l c")
    for case in ((2, 0.0), (4, 0.1), (2, 0.1)):
        original, twin = TorchAttention(*case).eval(), Attention(*case)
        variables, _ = interop.linen_variables(twin, original.state_dict(), x)
        found = interop.verify(original, twin.bind(variables), x, axes=axes)
        assert found.ok, found
        assert not found.arguments


class WithState(nn.Module):
    both: bool

    def setup(self):
        one = lambda: nn.RNN(nn.OptimizedLSTMCell(8))
        self.layer = nn.Bidirectional(one(), one()) if self.both else one()

    def __call__(self, x):
        _, x = self.layer(x, return_carry=True)
        return x


@pytest.mark.parametrize("both", [False, True])
def test_a_recurrent_layer_that_returns_its_state(both):
    class Original(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.LSTM(9, 8, batch_first=True, bidirectional=both)

        def forward(self, x):
            return self.layer(x)[0]

    original, twin = Original(), WithState(both)
    variables, _ = interop.linen_variables(twin, original.state_dict(), X[:, 0])
    found = interop.verify(original, twin.bind(variables), X[:, 0])
    assert found.ok, found
    assert [layer.name for layer in found.layers] == ["layer"]


def test_precision():
    """The verdict says at which precision; None leaves both as they are."""
    model, original = nnx.Sequential(FLAX_CONV(padding=1)), torch.nn.Sequential(CONV(padding=1))
    interop.load_state_dict(model, original.state_dict())
    assert interop.verify(original, model, X).verdict.endswith("(at precision 'highest')")
    found = interop.verify(original, model, X, precision=None)
    assert found.verdict.endswith("(at each model's own precision)")
