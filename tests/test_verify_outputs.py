"""What `verify` says of what models return: too little, too much, elsewhere, in another order."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_tconv import interop

torch = pytest.importorskip("torch")
X = np.random.default_rng(0).standard_normal((2, 3, 5, 6), "float32")


class Original(torch.nn.Module):
    """A convolution whose output is returned as `form` has it."""

    def __init__(self, form):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.form = torch.nn.Conv2d(3, 4, 3), form

    def forward(self, x):
        y = self.conv(x)
        return self.form(y, 2 * y)


class Twin(nnx.Module):
    def __init__(self, form):
        self.conv, self.form = nnx.Conv(3, 4, (3, 3), padding=0, rngs=nnx.Rngs(0)), form

    def __call__(self, x):
        y = self.conv(x)
        return self.form(y, 2 * y)


def verified(theirs, ours, **options):
    original, twin = Original(theirs), Twin(ours)
    interop.load_state_dict(twin, original.state_dict())
    return interop.verify(original, twin, X, **options)


@dataclasses.dataclass
class Both:
    first: object
    second: object


EQUAL = {
    "one": (lambda a, b: a, lambda a, b: a),
    "one, in a sequence": (lambda a, b: a, lambda a, b: (a,)),
    "tuple and list": (lambda a, b: (a, b), lambda a, b: [a, b]),
    "dicts": (lambda a, b: {"a": a, "b": b}, lambda a, b: {"b": b, "a": a}),
    "nested": (lambda a, b: (a, {"b": [b]}), lambda a, b: (a, {"b": (b,)})),
    "with None": (lambda a, b: (a, None, b), lambda a, b: (a, None, b)),
    "sums": (lambda a, b: (a.sum(), a.reshape(-1).max()), lambda a, b: (a.sum(), a.max())),
    "with a number": (lambda a, b: (a, 3), lambda a, b: (a, 3)),
    "a dataclass and a dict": (lambda a, b: Both(a, b), lambda a, b: {"first": a, "second": b}),
}
WRONG = {
    "None": (lambda a, b: a, lambda a, b: None, "PyTorch returns one array, Flax no array"),
    "two and none": (lambda a, b: (a, b), lambda a, b: (), r"PyTorch returns 2 at \[0\], \[1\], Flax no array"),
    "none and none": (lambda a, b: None, lambda a, b: None, "PyTorch returns no array, Flax no array"),
    "too few": (lambda a, b: (a, b), lambda a, b: (a,), r"PyTorch returns 2 at \[0\], \[1\], Flax 1 at \[0\]"),
    "too few, alone": (lambda a, b: (a, b), lambda a, b: a, r"PyTorch returns 2 at \[0\], \[1\], Flax one array"),
    "too many": (lambda a, b: a, lambda a, b: (a, b), r"PyTorch returns one array, Flax 2 at \[0\], \[1\]"),
    "other keys": (lambda a, b: {"a": a}, lambda a, b: {"b": a}, r"PyTorch returns 1 at \['a'\], Flax 1 at \['b'\]"),
    "a number": (lambda a, b: (a, 3), lambda a, b: (a, 4), r"\(output\)\[1\] differs by 1.0e\+00"),
    "turned round": (
        lambda a, b: (a, b),
        lambda a, b: (b, a),
        r"\(output\)\[0\] differs .*; it is PyTorch's \(output\)\[1\]",
    ),
    "NaN": (lambda a, b: a, lambda a, b: a * np.nan, "the output differs by inf"),
    "another shape": (
        lambda a, b: a,
        lambda a, b: a[:, 1:],
        r"differs in shape: \(2, 3, 4, 4\) .* \(2, 2, 4, 4\) in Flax",
    ),
    "half": (lambda a, b: a, lambda a, b: a / 2, "the output differs by"),
}


@pytest.mark.parametrize("forms", EQUAL.values(), ids=EQUAL)
def test_equal_outputs(forms):
    found = verified(*forms)
    assert found.ok, found.verdict


@pytest.mark.parametrize("forms", WRONG.values(), ids=WRONG)
def test_wrong_outputs(forms):
    *forms, words = forms
    found = verified(*forms)
    assert not found.ok
    assert [layer.ok for layer in found.layers if layer.counts] == [True]
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found.verdict)


SQUARE = np.random.default_rng(1).standard_normal((2, 8, 8), "float32")


class Tokens(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(8, 8)

    def forward(self, x):
        return torch.tanh(self.linear(x))


class FlaxTokens(nnx.Module):
    def __init__(self, swapped):
        self.linear, self.swapped = nnx.Linear(8, 8, rngs=nnx.Rngs(0)), swapped

    def __call__(self, x):
        y = jnp.tanh(self.linear(x))
        return y.swapaxes(1, 2) if self.swapped else y


@pytest.mark.parametrize("swapped", [False, True])
def test_a_sequence_as_long_as_its_features(swapped):
    original, twin = Tokens(), FlaxTokens(swapped)
    interop.load_state_dict(twin, original.state_dict())
    found = interop.verify(original, twin, SQUARE)
    assert found.ok is not swapped, found.verdict
    if swapped:
        assert "Flax has its values in another order of the axes: PyTorch's (0, 2, 1)" in found.verdict
        assert interop.verify(original, twin, SQUARE, axes={"(output)": "n l c -> n c l"}).ok


class Unknown(torch.nn.Module):
    """Nothing that it does shows what its axes mean."""

    def forward(self, x):
        return x * 2


class FlaxUnknown(nnx.Module):
    def __call__(self, x):
        return x * 2


def test_axes_that_nothing_shows_follow_the_convention_and_the_verdict_says_so():
    found = interop.verify(Unknown(), FlaxUnknown(), SQUARE)
    assert found.ok
    assert found.outputs[0].assumed
    wrong = interop.verify(Unknown(), FlaxUnknown(), SQUARE, flax_inputs=(SQUARE,))
    assert not wrong.ok
    assert "is the convention: nothing shows it; axes={'(output)': 'n c l -> n l c'} says otherwise" in wrong.verdict
    rule = "n l c -> n l c"
    assert interop.verify(Unknown(), FlaxUnknown(), SQUARE, axes={"(input)": rule, "(output)": rule}).ok
    assert interop.verify(Unknown(), FlaxUnknown(), SQUARE, skip=["(output)"]).ok


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"axes": {"linar": "a b -> b a"}},
            "axes names 'linar', which .* does not have or call; close to it are 'linear'",
        ),
        (
            {"axes": {"(output)": "n l -> l n"}},
            r"axes: 'n l -> l n' does not fit '\(output\)', whose shape is \(2, 8, 8\)",
        ),
        ({"axes": {"(output)": "n l c"}}, "axes must say PyTorch's axes and Flax's, such as"),
        ({"skip": ["decoder.*"]}, r"skip names 'decoder.\*', which PyTorch's model does not have or call"),
    ],
)
def test_bad_names_and_rules(options, words):
    original, twin = Tokens(), FlaxTokens(False)
    with pytest.raises(ValueError, match=words):
        interop.verify(original, twin, SQUARE, **options)


def test_skip_takes_names():
    with pytest.raises(
        TypeError, match=r"skip must be a collection of names, got the string 'linear'; pass \['linear'\]"
    ):
        interop.verify(Tokens(), FlaxTokens(False), SQUARE, skip="linear")
