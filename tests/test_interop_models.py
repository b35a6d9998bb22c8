"""Whole models: torch's outputs from Flax, strictness as torch has it, and nothing changed by a failed load."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx
from jax_tconv import interop

torch = pytest.importorskip("torch")


class TorchNet(torch.nn.Module):
    """Every supported layer, a list, and nested Sequentials; square kernels and equal channels wherever they fit."""

    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([torch.nn.Conv2d(4, 4, 4, padding=1, groups=2), torch.nn.BatchNorm2d(4)])
        self.up = torch.nn.Sequential(
            torch.nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, groups=2),
            torch.nn.ReLU(),
            torch.nn.Sequential(torch.nn.ConvTranspose2d(4, 4, 4, bias=False)),
        )
        self.head = torch.nn.Linear(4, 4)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(self.up(x).movedim(1, -1)).movedim(-1, 1)


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.blocks = nnx.List(
            [nnx.Conv(4, 4, (4, 4), padding=1, feature_group_count=2, rngs=rngs), nnx.BatchNorm(4, rngs=rngs)]
        )
        transposed = jax_tconv.nnx.ConvTranspose
        self.up = nnx.Sequential(
            transposed(4, 4, (4, 4), 2, padding=1, feature_group_count=2, rngs=rngs),
            nnx.relu,
            nnx.Sequential(transposed(4, 4, (4, 4), use_bias=False, rngs=rngs)),
        )
        self.head = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(self.up(x))


class LinenNet(nn.Module):
    def setup(self):
        self.blocks_0 = nn.Conv(4, (4, 4), padding=1, feature_group_count=2)
        self.blocks_1 = nn.BatchNorm(use_running_average=True)
        self.up_0 = jax_tconv.linen.ConvTranspose(4, (4, 4), 2, padding=1, feature_group_count=2)
        self.up_2_0 = jax_tconv.linen.ConvTranspose(4, (4, 4), use_bias=False)
        self.head = nn.Dense(4)

    def __call__(self, x, scale):
        assert isinstance(scale, float)  # what is no array reaches the module as it is
        x = self.blocks_1(self.blocks_0(x * scale))
        return self.head(self.up_2_0(nn.relu(self.up_0(x))))


LINEN_NAMES = {"blocks.0": "blocks_0", "blocks.1": "blocks_1", "up.0": "up_0", "up.2.0": "up_2_0"}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = TorchNet().eval()
    with torch.no_grad():
        for tensor in [*net.blocks[1].parameters(), net.blocks[1].running_mean, net.blocks[1].running_var]:
            tensor.uniform_(0.5, 2)
    return net


@pytest.fixture(scope="module")
def image(net):
    x = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return x.movedim(1, -1).numpy(), net(x).movedim(1, -1).numpy()


@pytest.mark.parametrize("in_flax_order", [True, False])
def test_the_models_values_are_its_own(in_flax_order):
    layer = nnx.Linear(64, 64, rngs=nnx.Rngs(0))
    # Memory that is aligned as JAX likes it, so that it would not copy.
    memory = np.zeros(64 * 64 * 4 + 64, np.uint8)
    start = -memory.ctypes.data % 64
    bias = memory[start : start + 64 * 4].view(np.float32)
    aligned = np.zeros(64 * 64 * 4 + 64, np.uint8)
    weight = aligned[-aligned.ctypes.data % 64 :][: 64 * 64 * 4].view(np.float32).reshape(64, 64)
    weight = weight.T if in_flax_order else weight
    interop.load_state_dict(layer, {"weight": weight, "bias": bias})
    variables, _ = interop.linen_variables(nn.Dense(64), {"weight": weight, "bias": bias}, jnp.ones((1, 64)))
    tensors = interop.state_dict(layer)
    weight[:], bias[:] = 1, 1
    for kernel, own_bias in (
        (layer.kernel[...], layer.bias[...]),
        (variables["params"]["kernel"], variables["params"]["bias"]),
    ):
        assert (kernel == 0).all()
        assert (own_bias == 0).all()
    for tensor in tensors.values():
        tensor[:] = 2
    assert (layer.bias[...] == 0).all()


def numpy_dict(net):
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize("as_numpy", [False, True])
def test_nnx(net, image, as_numpy):
    model = NnxNet(nnx.Rngs(0))
    unmatched = interop.load_state_dict(model, numpy_dict(net) if as_numpy else net.state_dict())
    assert (unmatched.missing_keys, unmatched.unexpected_keys) == ([], [])
    model.eval()
    np.testing.assert_allclose(
        nnx.jit(lambda m, x: m(x))(model, image[0]), image[1], rtol=0, atol=1e-5 * abs(image[1]).max()
    )


def test_nnx_model_of_shapes_only(net, image):
    model = nnx.eval_shape(lambda: NnxNet(nnx.Rngs(0)))
    interop.load_state_dict(model, net.state_dict())
    model.eval()
    np.testing.assert_allclose(model(image[0]), image[1], rtol=0, atol=1e-5 * abs(image[1]).max())


@pytest.mark.parametrize("abstract", [False, True])
def test_linen(net, image, abstract):
    example = jax.ShapeDtypeStruct(image[0].shape, image[0].dtype) if abstract else image[0]
    variables, _ = interop.linen_variables(LinenNet(), net.state_dict(), example, 1.0, rename=LINEN_NAMES)
    assert variables.keys() == {"params", "batch_stats"}
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(variables))
    y = LinenNet().apply(variables, image[0], 1.0)
    np.testing.assert_allclose(y, image[1], rtol=0, atol=1e-5 * abs(image[1]).max())


def test_a_single_layer():
    torch_layer = torch.nn.ConvTranspose1d(3, 2, 4, 3)
    x = torch.randn(1, 3, 5)
    expected = torch_layer(x).detach().movedim(1, -1).numpy()
    layer = jax_tconv.nnx.ConvTranspose(3, 2, (4,), 3, rngs=nnx.Rngs(0))
    interop.load_state_dict(layer, torch_layer.state_dict())
    x = x.movedim(1, -1).numpy()
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)
    module = jax_tconv.linen.ConvTranspose(2, (4,), 3)
    variables, _ = interop.linen_variables(module, torch_layer.state_dict(), x)
    np.testing.assert_allclose(module.apply(variables, x), expected, rtol=1e-5, atol=1e-6)


def test_values_are_rounded_only_if_that_is_asked_for(net):
    layer = nnx.Linear(4, 4, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    before = np.array(layer.kernel[...])
    with pytest.raises(interop.StateDictError, match=r"downcast=True.*\(2\):\n  weight float32, where .* has bfloat16"):
        interop.load_state_dict(layer, net.head.state_dict(), strict=False)
    np.testing.assert_array_equal(layer.kernel[...], before)
    interop.load_state_dict(layer, net.head.state_dict(), downcast=True)
    rounded = net.head.weight.detach().to(torch.bfloat16).float().numpy().T
    np.testing.assert_array_equal(layer.kernel[...].astype("float32"), rounded)
    single, double = nnx.Linear(4, 4, rngs=nnx.Rngs(0)), net.head.double().state_dict()
    with pytest.raises(interop.StateDictError, match="bias float64, where the model has float32"):
        interop.load_state_dict(single, double)
    interop.load_state_dict(single, double, downcast=True)
    net.head.float()
    np.testing.assert_array_equal(single.kernel[...].T, net.head.weight.detach())
    # A wider dtype holds every value.
    interop.load_state_dict(single, net.head.bfloat16().state_dict())
    net.head.float()


def names(kind, prefix=""):
    """The `rename` that takes torch's names, with a prefix to them, to the model's."""
    return {prefix: ""} | (
        {prefix + torch_name: name for torch_name, name in LINEN_NAMES.items()} if kind == "linen" else {}
    )


def load(kind, state_dict, rename=None, strict=True):
    """Loads into a fresh model of either kind and returns one of its values; a failed load changes nothing."""
    rename = rename or names(kind)
    if kind == "linen":
        x = jax.ShapeDtypeStruct((1, 6, 5, 4), np.float32)
        variables, _ = interop.linen_variables(LinenNet(), state_dict, x, 1.0, rename=rename, strict=strict)
        return variables["params"]["blocks_0"]["bias"]
    model = NnxNet(nnx.Rngs(0))
    before = jax.tree.map(np.array, nnx.state(model))
    try:
        interop.load_state_dict(model, state_dict, rename=rename, strict=strict)
    except ValueError:
        jax.tree.map(np.testing.assert_array_equal, nnx.state(model), before)
        raise
    return model.blocks[0].bias[...]


@pytest.mark.parametrize("kind", ["nnx", "linen"])
def test_every_fault_in_one_error(net, kind):
    state_dict = numpy_dict(net)
    state_dict["head.weight"] = state_dict["head.weight"][:3]
    state_dict["up.0.weight"] = state_dict["up.0.weight"][..., 0]
    del state_dict["blocks.0.bias"], state_dict["head.bias"]
    state_dict |= {"extra.weight": np.ones(2), "other": np.ones(2)}
    with pytest.raises(interop.StateDictError) as caught:
        load(kind, state_dict)
    message = str(caught.value)
    assert not caught.value.report.ok
    separator = "_" if kind == "linen" else "."
    for words in [
        "head.weight (3, 4), where the model needs (4, 4)",
        f"up{separator}0.weight (4, 2, 4), where the model needs (4, 2, 4, 4)",
        f"missing from the state dict (2):\n  blocks{separator}0.bias\n  head.bias",
        "unexpected in the state dict (2):\n  extra.weight\n  other",
    ]:
        assert words in message


@pytest.mark.parametrize("kind", ["nnx", "linen"])
def test_not_strict_is_torchs_not_strict(net, kind):
    state_dict = numpy_dict(net) | {"other": np.ones(2)}
    del state_dict["head.bias"]
    np.testing.assert_array_equal(load(kind, state_dict, strict=False), state_dict["blocks.0.bias"])
    # What does not fit is left out too, and the report says so.
    misshapen = state_dict | {"head.weight": np.ones((4, 3), "float32")}
    np.testing.assert_array_equal(load(kind, misshapen, strict=False), state_dict["blocks.0.bias"])
    model = NnxNet(nnx.Rngs(0))
    before = np.array(model.head.kernel[...])
    (row,) = interop.load_state_dict(model, misshapen, strict=False).with_status("misshapen")
    assert (row.name, row.source_shape, row.needed_shape) == ("head.weight", (4, 3), (4, 4))
    np.testing.assert_array_equal(model.head.kernel[...], before)
    report = interop.load_state_dict(NnxNet(nnx.Rngs(0)), state_dict, strict=False)
    theirs = TorchNet().load_state_dict({name: torch.tensor(v) for name, v in state_dict.items()}, strict=False)
    assert (report.missing_keys, report.unexpected_keys) == (theirs.missing_keys, theirs.unexpected_keys)


@pytest.mark.parametrize("kind", ["nnx", "linen"])
def test_renaming(net, kind):
    prefixed = {f"module.{name}": value for name, value in numpy_dict(net).items()}
    wanted, rename = net.blocks[0].bias.detach().numpy(), names(kind, "module.")
    np.testing.assert_array_equal(load(kind, prefixed, rename), wanted)
    by_function = lambda name: next(
        new + name[len(old) :] for old, new in reversed(rename.items()) if name.startswith(old)
    )
    np.testing.assert_array_equal(load(kind, prefixed, by_function), wanted)
    with pytest.raises(ValueError, match="gives 'same' to both 'module.blocks.0.weight' and 'module.blocks.0.bias'"):
        load(kind, prefixed, lambda name: "same")


def test_a_prefix_to_remove_is_pointed_out(net):
    prefixed = {f"generator.{name}": value for name, value in numpy_dict(net).items()}
    with pytest.raises(interop.StateDictError, match=r"names begin with 'generator.'.*rename={'generator.': ''}"):
        interop.load_state_dict(NnxNet(nnx.Rngs(0)), prefixed)


def test_layers_without_a_rule_are_named():
    class Net(nnx.Module):
        def __init__(self):
            self.table = nnx.Param(jnp.ones((3, 3)))
            self.act = Slopes()

    class Slopes(nnx.PReLU):
        def __init__(self):
            self.negative_slope = nnx.Param(jnp.ones(3))

    with pytest.raises(interop.StateDictError) as caught:
        interop.load_state_dict(Net(), {})
    message = str(caught.value)
    assert "layers whose type has no rule (2):" in message
    assert "its array table, (3, 3), belongs to no known type of layer; say how PyTorch lays it out, as in" in message
    assert "act: Slopes: its negative_slope has shape (3,), not the axes ''" in message


def test_not_strict_leaves_other_layers_as_they_are():
    class Scaled(nnx.Module):
        def __init__(self):
            self.layers = nnx.Linear(3, 3, rngs=nnx.Rngs(0))
            self.table = nnx.Param(jnp.ones((3, 3)))

    model, ones = Scaled(), np.ones((3, 3), "float32")
    state_dict = {"layers.weight": ones, "layers.bias": ones[0], "table": 5 * ones}
    assert interop.load_state_dict(model, state_dict, strict=False).unexpected_keys == ["table"]
    assert (model.layers.bias[...] == 1).all()
    assert (model.table[...] == 1).all()


def test_arguments_of_the_wrong_kind(net):
    model, x = NnxNet(nnx.Rngs(0)), jnp.ones((1, 6, 5, 4))
    with pytest.raises(TypeError, match=r"state_dict must be .*got dict; pass that dict itself"):
        interop.load_state_dict(model, {"state_dict": {"head.bias": np.ones(4)}, "epoch": 3})
    with pytest.raises(TypeError, match=r"state_dict must be a mapping .* got str; a file is read with .*interop.read"):
        interop.load_state_dict(model, "weights.pt")
    with pytest.raises(TypeError, match="model must be an nnx model, got LinenNet; .*linen_variables"):
        interop.load_state_dict(LinenNet(), {})
    with pytest.raises(TypeError, match="module must be a linen module, got NnxNet; .*load_state_dict"):
        interop.linen_variables(model, {}, x)
    with pytest.raises(TypeError, match="head.bias must be an array or a torch tensor, got int"):
        interop.load_state_dict(model, {"head.bias": 3})
    with pytest.raises(
        TypeError, match="rename must be a mapping of prefixes or of compiled .*, or a function of a name, got str"
    ):
        interop.load_state_dict(model, {}, rename="module.")
    with pytest.raises(TypeError, match=r"example_inputs must be what the module is called with; got none"):
        interop.linen_variables(LinenNet(), net.state_dict())
