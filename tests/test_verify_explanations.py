"""What the verdict says of a difference: whose weights, whose input, in which order; and what was not compared."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jax_tconv.nnx
from jax_tconv import interop

torch = pytest.importorskip("torch")
RNGS = nnx.Rngs(0)
X = np.random.default_rng(0).standard_normal((2, 4, 6, 6), "float32")


class Original(torch.nn.Module):
    """Two convolutions, an activation, a skip connection, a head on flattened maps."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.act = torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.LeakyReLU(0.2)
        self.second = torch.nn.Conv2d(4, 4, 3, padding=1)
        self.up = torch.nn.ConvTranspose2d(8, 4, 3, padding=1)
        self.aux = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 5))

    def forward(self, x):
        a = self.act(self.first(x))
        b = self.second(a)
        return self.aux(self.up(torch.cat([a, b], 1)))


class Twin(nnx.Module):
    def __init__(self, fault=""):
        conv = lambda: nnx.Conv(4, 4, (3, 3), padding=1, rngs=RNGS)
        self.first, self.second = conv(), conv()
        self.up = jax_tconv.nnx.ConvTranspose(8, 4, (3, 3), padding=1, rngs=RNGS)
        self.aux = nnx.Sequential(lambda x: x.reshape(x.shape[0], -1), nnx.Linear(144, 5, rngs=RNGS))
        self.fault = fault

    def __call__(self, x):
        if self.fault == "layers in another order":
            a = self.second(nnx.leaky_relu(x, 0.2))
            return self.aux(self.up(jnp.concatenate([a, self.first(a)], -1)))
        a = self.first(x)
        a = a if self.fault == "no activation" else nnx.leaky_relu(a, 0.1 if self.fault == "another slope" else 0.2)
        b = self.second(a)
        if self.fault == "raises":
            b = b @ jnp.ones((3, 3))
        joined = [b, a] if self.fault == "skips turned round" else [a, b]
        y = self.aux(self.up(jnp.concatenate(joined, -1)))
        return y[:, ::-1] if self.fault == "output turned round" else y


FLATTEN = {"aux.1": (6, 6, 4)}


def verified(fault="", flatten=FLATTEN, change=lambda twin: None):
    original, twin = Original(), Twin(fault)
    interop.load_state_dict(twin, original.state_dict(), flatten=flatten)
    change(twin)
    return interop.verify(original, twin, X, flatten=flatten)


def test_no_fault():
    found = verified()
    assert found.ok, found
    assert [layer.name for layer in found.layers if layer.counts] == ["first", "second", "up", "aux.1"]
    assert {one.name: one.arrays for one in found.not_compared} == {"act": False, "aux.0": False}


FAULTS = {
    "no activation": (
        "second",
        r"it is what 'act' \(LeakyReLU\(negative_slope=0.2\)\) takes in PyTorch, .* leaves out",
    ),
    "another slope": (
        "second",
        r"'first' still agrees, and PyTorch has 'act' \(LeakyReLU\(negative_slope=0.2\)\) in between",
    ),
    "skips turned round": ("up", "PyTorch's channels in another order, from 4 on first; look at a concatenation"),
    "output turned round": (r"(output)", "all shared layers agree, but the output differs"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(fault):
    name, words = FAULTS[fault]
    found = verified(fault)
    assert not found.ok
    assert found.first_difference.name == name
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found.verdict)


@pytest.mark.parametrize("wrong", [None, {"aux.1": (4, 6, 6)}])
def test_a_wrong_flatten_order(wrong):
    """Whether the Linear was loaded as it is or in a wrong order, what the verdict says repairs it."""
    found = verified(flatten=wrong)
    assert not found.ok
    assert "that of a channels-last map flattened: load it with flatten={'aux.1': (6, 6, 4)}" in found.verdict


@pytest.mark.parametrize("name", ["aux.1", "aux.layers.1", "aux.*"])
def test_either_name_of_a_layer_does(name):
    assert verified(flatten={name: (6, 6, 4)}).ok


def swap(twin):
    first, second = twin.first.kernel[...], twin.second.kernel[...]
    twin.first.kernel.set_value(second)
    twin.second.kernel.set_value(first)


def changed(twin, change):
    twin.first.kernel.set_value(change(twin.first.kernel[...]))


WEIGHTS = {
    "those of another layer": (swap, "its kernel is not what first.weight makes: it is that of 'second'"),
    "reversed": (lambda twin: changed(twin, lambda k: k[::-1, ::-1]), "it is reversed along its spatial axes"),
    "transposed": (
        lambda twin: changed(twin, lambda k: k.swapaxes(2, 3)),
        r"its axes are in another order, (0, 1, 3, 2)",
    ),
    "others": (lambda twin: changed(twin, lambda k: k + 1), "its kernel is not what first.weight makes ("),
}


@pytest.mark.parametrize("change", WEIGHTS)
def test_weights(change):
    function, words = WEIGHTS[change]
    found = verified(change=function)
    assert found.first_difference.name == "first"
    assert "its input agrees, but its kernel is not what first.weight makes" in found.verdict
    assert words in found.verdict


def test_arguments_with_the_right_weights():
    def dilate(twin):
        twin.first.kernel_dilation, twin.first.padding = (2, 2), (2, 2)

    found = verified(change=dilate)
    assert "its input agrees and its weights are PyTorch's, so its arguments differ" in found.verdict
    assert {one.argument for one in found.arguments} == {"kernel_dilation", "padding"}


def test_what_flax_raises():
    found = verified("raises")
    assert not found.ok
    assert [layer.name for layer in found.layers] == ["first", "second"]
    assert found.error.startswith(
        "TypeError in Twin: dot_general requires contracting dimensions to have the same shape"
    )
    assert "\n" not in found.error
    assert f"the Flax model raised {found.error}" in found.verdict


def test_what_a_layer_of_flax_raises():
    def broken(twin):
        twin.second.feature_group_count = 3

    found = verified(change=broken)
    assert " in 'second' (Conv)" in found.error


def test_skipped_and_unpaired_layers_are_listed():
    original, twin = Original(), Twin("another slope")
    interop.load_state_dict(twin, original.state_dict(), flatten=FLATTEN)
    found = interop.verify(original, twin, X, flatten=FLATTEN, skip=["second", "u*", "aux.1", "(output)"])
    assert found.ok
    assert {one.name: one.reason for one in found.not_compared if one.arrays} == {
        "second": "skip",
        "up": "skip",
        "aux.1": "skip",
    }
    assert "not compared: 'second', 'up', 'aux.1'" in found.verdict


def test_a_layer_that_is_called_more_often():
    """Calls are compared by their inputs; one more in PyTorch shows in the output."""

    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            return self.conv(self.conv(x))

    class Flax(nnx.Module):
        def __init__(self, start):
            self.conv, self.start = nnx.Conv(4, 4, (3, 3), padding=1, rngs=RNGS), start

        def __call__(self, x):
            return self.conv(x + self.start)

    for start, layers, reasons in ((0, ["conv"], []), (9, [], ["PyTorch calls it 2 times, Flax 1"])):
        original, twin = Twice(), Flax(start)
        interop.load_state_dict(twin, original.state_dict())
        found = interop.verify(original, twin, X)
        assert not found.ok
        assert found.first_difference.name == "(output)"
        assert [layer.name for layer in found.layers] == layers
        assert [one.reason.partition("and ")[2] for one in found.not_compared] == reasons


class Renamed(nnx.Module):
    """The same layers under other names, and in order of definition."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(4, 8, (3, 3), padding=1, rngs=rngs)
        self.norm = nnx.BatchNorm(8, epsilon=1e-5, momentum=0.9, rngs=rngs)
        self.tail = jax_tconv.nnx.ConvTranspose(8, 4, (3, 3), padding=1, rngs=rngs)

    def __call__(self, x):
        return self.tail(self.norm(self.stem(x)))


@pytest.mark.parametrize("options", [{"match": "order"}, {"rename": {"0.": "stem.", "1.": "norm.", "2.": "tail."}}])
def test_the_pairs_are_those_of_the_conversion(options):
    original = torch.nn.Sequential(
        torch.nn.Conv2d(4, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ConvTranspose2d(8, 4, 3, padding=1)
    )
    twin = Renamed(nnx.Rngs(0))
    interop.load_state_dict(twin, original.state_dict(), **options)
    found = interop.verify(original, twin, X, **options)
    assert found.ok
    assert [layer.name for layer in found.layers] == ["0", "1", "2"]
    twin.norm.scale.set_value(twin.norm.scale[...] * 2)
    found = interop.verify(original, twin, X, **options)
    assert found.first_difference.name == "1"
    assert "its scale is not what 1.weight makes" in found.verdict


class Shifted(nn.Module):
    @nn.compact
    def __call__(self, x):
        for number in range(3):
            x = nn.relu(nn.Dense(4, name=f"layers_{number}")(x))
        return x


def test_a_shifted_index():
    """Weights that are those of the next layer of torch's."""
    torch.manual_seed(0)
    parts = [part for _ in range(4) for part in (torch.nn.Linear(4, 4), torch.nn.ReLU())]
    original = torch.nn.Sequential(*parts[:-2])
    names = {f"{2 * n + 2}.": f"layers_{n}." for n in range(2)} | {"0.": "layers_2."}
    x = np.abs(np.random.default_rng(0).standard_normal((3, 4), "float32"))
    wrong, _ = interop.linen_variables(Shifted(), original.state_dict(), x, rename=names)
    right = {f"{2 * n}.": f"layers_{n}." for n in range(3)}
    found = interop.verify(original, Shifted().bind(wrong), x, rename=right)
    assert "its kernel is not what 0.weight makes: it is that of '2'" in found.verdict
