"""Names: identical ones first, then renaming in its three forms, wrappers, shared layers, linen's lists."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from jax_tconv import interop

RNGS = nnx.Rngs(0)
ONES = np.ones((3, 3), "float32")


def linear(name, value=1.0, bias=True):
    tensors = {f"{name}.weight": ONES * np.float32(value)}
    return tensors | ({f"{name}.bias": ONES[0] * np.float32(value)} if bias else {})


class Net(nnx.Module):
    def __init__(self):
        self.first = nnx.Linear(3, 3, rngs=RNGS)
        self.blocks = nnx.List([nnx.Linear(3, 3, rngs=RNGS), nnx.Sequential(nnx.relu, nnx.Linear(3, 3, rngs=RNGS))])
        self.by_name = nnx.Dict(out=nnx.Linear(3, 3, rngs=RNGS))


NAMES = ["first", "blocks.0", "blocks.1.1", "by_name.out"]
TENSORS = {key: value for n, name in enumerate(NAMES) for key, value in linear(name, n).items()}


def values(net):
    return [net.first.bias[0], net.blocks[0].bias[0], net.blocks[1].layers[1].bias[0], net.by_name["out"].bias[0]]


def prefixed(prefix):
    return {prefix + name: value for name, value in TENSORS.items()}


@pytest.mark.parametrize(
    ("state_dict", "rename"),
    [
        (TENSORS, None),
        (prefixed("module."), None),
        (prefixed("_orig_mod."), None),
        (prefixed("module._orig_mod."), None),
        ({name.replace("blocks.", "blocks._orig_mod."): v for name, v in TENSORS.items()}, None),
        (prefixed("generator."), {"generator.": ""}),
        (prefixed("generator."), {"generator": ""}),
        (prefixed("module.generator."), {"generator.": ""}),
        (prefixed("module.generator."), {"module.generator.": ""}),
        ({name.replace("blocks.", "layers."): v for name, v in TENSORS.items()}, {"layers.": "blocks."}),
        (
            {name.replace("blocks.", "layer"): v for name, v in TENSORS.items()},
            {re.compile(r"^layer(\d)"): r"blocks.\1"},
        ),
        (prefixed("g."), lambda name: name[2:]),
        (TENSORS | {"extra": ONES}, {"extra": None}),
        (TENSORS | {"extra": ONES}, {re.compile("ext"): None}),
        (TENSORS | {"extra": ONES}, lambda name: None if name == "extra" else name),
    ],
)
def test_renaming(state_dict, rename):
    net = Net()
    report = interop.load_state_dict(net, state_dict, rename=rename)
    assert values(net) == [0, 1, 2, 3]
    assert len(report.with_status("dropped")) == ("extra" in state_dict)


def test_a_model_with_a_part_called_module():
    class Wrapper(nnx.Module):
        def __init__(self):
            self.module = nnx.Linear(3, 3, rngs=RNGS)

    net = Wrapper()
    interop.load_state_dict(net, linear("module", 2))
    assert net.module.bias[0] == 2


@pytest.mark.parametrize("rename", [{"a": 3}, {3: "a"}, lambda name: 3, "module.", ["a"]])
def test_renames_that_are_none(rename):
    with pytest.raises(TypeError, match="rename must (give a name or None, but gives int|be a mapping|map)"):
        interop.load_state_dict(Net(), linear("a"), rename=rename)


def test_two_tensors_of_one_name_are_ambiguous():
    state_dict = TENSORS | linear("module.first", 9)
    with pytest.raises(
        interop.StateDictError, match=r"first.weight \(from module.first.weight\): first.weight has that"
    ):
        interop.load_state_dict(Net(), state_dict, strict=False)


class Shared(nnx.Module):
    def __init__(self):
        self.encoder = nnx.Linear(3, 3, rngs=RNGS)
        self.decoder = self.encoder


def test_a_shared_layer_has_both_names():
    net = Shared()
    assert interop.load_state_dict(net, linear("encoder", 2) | linear("decoder", 2)).with_status("shared")
    assert list(interop.state_dict(net)) == [*linear("encoder"), *linear("decoder")]
    # A file may keep what is shared once.
    assert interop.load_state_dict(net, linear("decoder", 3)).ok
    assert net.encoder.bias[0] == 3
    with pytest.raises(interop.StateDictError, match="decoder.bias.*: differs from encoder.bias, and the model shares"):
        interop.load_state_dict(net, linear("encoder", 2) | linear("decoder", 3), strict=False)
    assert net.encoder.bias[0] == 3


def test_a_shared_array():
    class Tied(nnx.Module):
        def __init__(self):
            self.a, self.b = nnx.Linear(3, 3, use_bias=False, rngs=RNGS), nnx.Linear(3, 3, use_bias=False, rngs=RNGS)
            self.b.kernel = self.a.kernel

    net = Tied()
    interop.load_state_dict(net, linear("a", 2, bias=False) | linear("b", 2, bias=False))
    assert (net.b.kernel[...] == 2).all()
    with pytest.raises(interop.StateDictError, match="b.weight: differs from a.weight, and the model shares the array"):
        interop.load_state_dict(net, linear("a", 2, bias=False) | linear("b", 3, bias=False))


class LinenNet(nn.Module):
    def setup(self):
        self.first = nn.Dense(3)
        self.blocks = [nn.Dense(3), nn.Sequential([nn.relu, nn.Dense(3)])]
        self.by_name = {"out": nn.Dense(3)}
        self.last = self.first

    def __call__(self, x):
        for layer in (self.first, *self.blocks, self.by_name["out"], self.last):
            x = layer(x)
        return x


def linen_values(variables):
    p = variables["params"]
    layers = [p["first"], p["blocks_0"], p["blocks_1"]["layers_1"], p["by_name_out"]]
    return [float(layer["bias"][0]) for layer in layers]


def test_linens_names_for_lists_and_sequentials():
    x = jnp.ones((1, 3))
    variables, _ = interop.linen_variables(LinenNet(), TENSORS, x)
    assert linen_values(variables) == [0, 1, 2, 3]
    # Its own names do as well, and two names of one layer are one layer.
    literal = {"blocks.0": "blocks_0", "blocks.1.1": "blocks_1.layers_1", "by_name.out": "by_name_out"}
    assert linen_values(interop.linen_variables(LinenNet(), TENSORS, x, rename=literal)[0]) == [0, 1, 2, 3]
    assert linen_values(interop.linen_variables(LinenNet(), TENSORS | linear("last", 0), x)[0]) == [0, 1, 2, 3]
    with pytest.raises(interop.StateDictError, match="differs from first.weight, and the model shares"):
        interop.linen_variables(LinenNet(), TENSORS | linear("last", 5), x)
    tensors = interop.linen_state_dict(LinenNet(), variables, x)
    assert tensors.keys() == {*TENSORS, "last.weight", "last.bias"}
    for name, tensor in TENSORS.items():
        assert tensors[name].tobytes() == tensor.tobytes()


class Nested(nn.Module):
    def setup(self):
        self.blocks = {"a": [nn.Dense(3), {"b_c": nn.Dense(3)}], "a_1": nn.Dense(3)}

    def __call__(self, x):
        first, inner = self.blocks["a"]
        return self.blocks["a_1"](inner["b_c"](first(x)))


def test_lists_and_mappings_in_one_another():
    x, names = jnp.ones((1, 3)), ["blocks.a.0", "blocks.a.1.b_c", "blocks.a_1"]
    tensors = {key: value for n, name in enumerate(names) for key, value in linear(name, n).items()}
    variables, _ = interop.linen_variables(Nested(), tensors, x)
    found = {name: float(layer["bias"][0]) for name, layer in variables["params"].items()}
    assert found == {"blocks_a_0": 0, "blocks_a_1_b_c": 1, "blocks_a_1": 2}
    assert list(interop.linen_state_dict(Nested(), variables, x)) == list(tensors)


class Given(nn.Module):
    inner: nn.Module

    def __call__(self, x):
        return self.inner(x)


class Giving(nn.Module):
    def setup(self):
        self.layer = nn.Dense(3)
        self.given = Given(Given(self.layer))
        self.chain = nn.Sequential([nn.relu, self.layer])

    def __call__(self, x):
        return self.chain(self.given(x))


def test_a_linen_module_that_others_are_given():
    x, places = jnp.ones((1, 3)), ["layer", "given.inner.inner", "chain.1"]
    tensors = {key: value for name in places for key, value in linear(name, 2).items()}
    variables, _ = interop.linen_variables(Giving(), tensors, x)
    assert list(variables["params"]) == ["layer"]
    assert interop.linen_state_dict(Giving(), variables, x).keys() == tensors.keys()
    with pytest.raises(interop.StateDictError, match="differs from layer.weight, and the model shares"):
        interop.linen_variables(Giving(), tensors | linear("chain.1", 3), x)


class LeavesOut(nn.Module):
    torch_only = ("head", "blocks.1")

    def setup(self):
        self.blocks = [nn.Dense(3)]

    def __call__(self, x):
        return self.blocks[0](x)


class Around(nn.Module):
    @nn.compact
    def __call__(self, x):
        return LeavesOut(name="inner")(x)


@pytest.mark.parametrize(("module", "lead"), [(LeavesOut(), ""), (Around(), "inner.")])
def test_what_a_model_leaves_out_of_torchs(module, lead):
    x, names = jnp.ones((1, 3)), ["blocks.0", "blocks.1", "head", "head.more"]
    tensors = {key: value for name in names for key, value in linear(lead + name, 2).items()}
    variables, report = interop.linen_variables(module, tensors, x)
    assert {row.name for row in report.with_status("dropped")} == {*tensors} - {*linear(f"{lead}blocks.0")}
    assert "6 tensors dropped (the model leaves it out)" in str(report)
    exported = interop.linen_state_dict(module, variables, x, like=tensors)
    assert list(exported) == list(tensors)
    by_order = interop.linen_variables(module, linear("other", 3), x, match="order")[0]
    assert float(jax.tree.leaves(by_order)[0].ravel()[0]) == 3
    with pytest.raises(interop.StateDictError, match="heads.weight"):
        interop.linen_variables(module, tensors | linear(f"{lead}heads"), x)


def test_running_statistics_that_flax_has_not():
    net = nnx.Sequential(nnx.InstanceNorm(3, rngs=RNGS))
    state_dict = {"0.weight": ONES[0], "0.bias": ONES[0], "0.running_mean": ONES[0], "0.running_var": ONES[0]}
    with pytest.raises(
        interop.StateDictError, match="0.running_mean: the model's layer keeps no running statistics; if"
    ):
        interop.load_state_dict(net, state_dict)
    assert interop.load_state_dict(net, state_dict, rename={"0.running": None}).ok


def test_names_on_the_way_out():
    net = Net()
    out = interop.state_dict(net, rename={"": "module.", "blocks.": "layers.", "by_name": None})
    assert list(out) == [f"{n}.{t}" for n in ("module.first", "layers.0", "layers.1.1") for t in ("weight", "bias")]
    with pytest.raises(ValueError, match="rename must keep names apart"):
        interop.state_dict(net, rename=lambda name: "same")
