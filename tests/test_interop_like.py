"""`like=`: the form of the checkpoint that was loaded comes back, bit for bit where nothing changed."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jax_tconv.nnx
from jax_tconv import interop
from jax_tconv.interop._convert.norms import spectral_norm, weight_norm

torch = pytest.importorskip("torch")

from tests.networks import DECODER, NETWORKS, UNET, VOCODER, VOCODER_OLD  # noqa: E402  (needs torch)
from tests.test_interop_layers import CELLS, LAYERS, SQUARES, VECTORS, as_flax, close, made  # noqa: E402
from tests.test_interop_networks import convert, flax_inputs, one_thread, run  # noqa: E402, F401
from tests.test_interop_parametrizations import LAYERS as NORMED  # noqa: E402
from tests.test_interop_parametrizations import NORMS, SHAPES, effective, normed  # noqa: E402

RNGS = nnx.Rngs(0)
kinds = pytest.mark.parametrize("kind", ["nnx", "linen"])
QUICK = [VOCODER, VOCODER_OLD, UNET, DECODER]


def awkward(state_dict):
    """The same tensors as DataParallel saves them, in another order, with counters that have counted."""
    tensors = {f"module.{name}": tensor.clone() for name, tensor in reversed(state_dict.items())}
    for n, name in enumerate(name for name in tensors if name.endswith("num_batches_tracked")):
        tensors[name] += 1000 + n
    return tensors


def same(tensors, original):
    """Names in the same order, dtypes, shapes and bytes."""
    assert list(tensors) == list(original)
    for name, tensor in interop.to_torch(tensors).items():
        wanted = torch.as_tensor(original[name])
        assert (tensor.dtype, tensor.shape) == (wanted.dtype, wanted.shape), name
        assert tensor.contiguous().view(-1).view(torch.uint8).equal(wanted.contiguous().view(-1).view(torch.uint8)), (
            name
        )


def back(model, inputs=(), **options):
    """The state dict of a nnx model, or of a linen module bound to its variables."""
    if isinstance(model, nnx.Module):
        return interop.state_dict(model, **options)
    module, variables = model.unbind()
    return interop.linen_state_dict(module, variables, *inputs, **options)


def trained(model, seed=0):
    """The model with every value changed, as by training."""
    rng = np.random.default_rng(seed)
    step = lambda a: (a * rng.uniform(0.8, 1.2, a.shape) + rng.normal(0, 1e-3, a.shape)).astype(a.dtype)
    if not isinstance(model, nnx.Module):
        module, variables = model.unbind()
        return module.bind(jax.tree.map(step, variables))
    for variable in jax.tree.leaves(nnx.state(model), is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)):
        if isinstance(variable, nnx.Param):
            variable.set_value(jnp.asarray(step(np.asarray(variable.get_value()))))
    return model


@pytest.mark.parametrize(
    "network",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow, id=n.name) for n in NETWORKS],
)
@kinds
def test_networks_come_back_as_they_were_and_trained_ones_compute_the_same_in_torch(network, kind):
    original = awkward(network.trained().state_dict())
    model, inputs = convert(network, kind, original), (flax_inputs(network),)
    same(back(model, inputs, like=original, flatten=network.flatten), original)
    model = trained(model)
    tensors = back(model, inputs, like=original, flatten=network.flatten)
    assert list(tensors) == list(original)
    assert {tensor.dtype.name for tensor in tensors.values()} <= {"float32", "int64"}
    torch_network = network.make_torch().eval()
    torch_network.load_state_dict(
        {name.removeprefix("module."): tensor for name, tensor in interop.to_torch(tensors).items()}, strict=True
    )
    y = np.asarray(model(*inputs))
    close(y, (out if (out := run(torch_network, network.inputs())).ndim == 2 else out.movedim(1, -1)).numpy())
    # Loaded again, the values are those of the model: a plain tensor's bits, a norm's weight to its last places.
    before = back(model, inputs, flatten=network.flatten)
    if kind == "nnx":
        interop.load_state_dict(model, tensors, flatten=network.flatten)
    else:
        model = convert(network, kind, tensors)
    again = back(model, inputs, flatten=network.flatten)
    for name, tensor in before.items():
        plain = f"module.{name}" in original
        np.testing.assert_allclose(again[name], tensor, rtol=0 if plain else 1e-6, atol=0, err_msg=name)


@kinds
@pytest.mark.parametrize("name", [name for name in LAYERS if name != "linear_general"])
def test_layers(name, kind):
    layer, x, _ = made(name)
    _, make_nnx, make_linen, shape = LAYERS[name]
    original = awkward(layer.state_dict())
    if kind == "nnx":
        model = make_nnx()
        interop.load_state_dict(model, original)
    else:
        model = make_linen().bind(interop.linen_variables(make_linen(), original, x)[0])
    same(back(model, (x,), like=original), original)
    model = trained(model)
    tensors = interop.to_torch(back(model, (x,), like=original))
    trainable = [f"module.{name}" for name, _ in layer.named_parameters()]
    assert all((tensors[name] != original[name]).all() for name in trainable)
    layer.load_state_dict({name.removeprefix("module."): tensor for name, tensor in tensors.items()}, strict=True)
    inputs = torch.tensor(x if shape in (VECTORS, SQUARES, "tokens") else np.moveaxis(x, -1, 1))
    with torch.inference_mode():
        close(np.asarray(model(jnp.asarray(x))), as_flax(name, layer(inputs)))


def cells():
    for name, (make, nnx_cells, linen_cells) in CELLS.items():
        for cell in (*nnx_cells, *linen_cells):
            yield pytest.param(name, make, cell, id=f"{cell.__module__.split('.')[1]}.{cell.__name__}")


@pytest.mark.parametrize(("name", "make", "cell"), list(cells()))
def test_both_biases_of_a_recurrent_layer(name, make, cell):
    torch.manual_seed(0)
    layer = make(3, 3)
    if cell is nnx.GRUCell:
        with torch.no_grad():
            layer.bias_hh[6:] = 0  # it has no place for this part
    x, h, c = torch.randn(3, 2, 3)
    original = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    carry = (jnp.asarray(c), jnp.asarray(h)) if name == "lstm" else jnp.asarray(h)
    inputs = (carry, x.numpy())
    if issubclass(cell, nnx.Module):
        model = cell(3, 3, rngs=RNGS)
        interop.load_state_dict(model, original)
    else:
        model = cell(3).bind(interop.linen_variables(cell(3), original, *inputs)[0])
    same(back(model, inputs, like=original), original)
    model = trained(model)
    tensors = back(model, inputs, like=original)
    layer.load_state_dict(interop.to_torch(tensors), strict=True)
    with torch.inference_mode():
        y = layer(x, (h, c))[0] if name == "lstm" else layer(x, h)
    close(np.asarray(model(*inputs)[1]), y.numpy())
    # The change is in the first, wherever that makes the sum exactly.
    if name == "lstm":
        kept = tensors["bias_hh"] == original["bias_hh"].numpy()
        assert kept.mean() > 0.5
        assert (tensors["bias_hh"][~kept] == 0).all()
        np.testing.assert_array_equal(
            tensors["bias_ih"] + tensors["bias_hh"], (plain := back(model, inputs))["bias_ih"] + plain["bias_hh"]
        )


def test_one_gate_that_changed():
    layer = torch.nn.LSTM(3, 3)
    original = layer.state_dict()
    model = nnx.RNN(nnx.LSTMCell(3, 3, rngs=RNGS), rngs=RNGS)
    interop.load_state_dict(model, original)
    model.cell.hf.kernel[...] += 1
    model.cell.hf.bias[...] += 1
    tensors = interop.state_dict(model, like=original)
    for name in original:
        differs = (tensors[name] != original[name].numpy()).reshape(4, -1).any(1).tolist()
        assert differs == [False, name in ("weight_hh_l0", "bias_ih_l0"), False, False] or name == "bias_hh_l0"
    np.testing.assert_array_equal(tensors["weight_hh_l0"][3:6], original["weight_hh_l0"][3:6].numpy() + 1)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", NORMED)
@pytest.mark.parametrize("change", ["a step", "all new", "a channel of zeros"])
def test_norms(name, norm, change):
    torch.manual_seed(0)
    layer = normed(NORMED[name][0](), norm)
    original = {key: value.clone() for key, value in layer.state_dict().items()}
    model = NORMED[name][1]()
    interop.load_state_dict(model, original)
    same(interop.state_dict(model, like=original), original)
    variable = model.embedding if name == "embedding" else model.kernel
    if change == "all new":
        variable.set_value(jax.random.normal(jax.random.key(0), variable.shape))
    elif change == "a channel of zeros":
        variable[..., 1] = 0
    else:
        trained(model)
    tensors = interop.state_dict(model, like=original)
    assert [(n, t.shape, t.dtype.name) for n, t in tensors.items()] == [
        (n, tuple(t.shape), "float32") for n, t in original.items()
    ]
    layer.load_state_dict(interop.to_torch(tensors), strict=True)
    found, weight = effective(layer, SHAPES[name]), interop.state_dict(model)["weight"]
    np.testing.assert_allclose(found, weight, rtol=1e-6, atol=0)
    kept = [key for key in original if key.endswith("_u") and change != "all new"]
    assert all(tensors[key].tobytes() == original[key].numpy().tobytes() for key in kept)


def test_a_spectral_norm_keeps_both_vectors_if_they_still_measure_the_weight():
    torch.manual_seed(0)
    layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(3, 3)).eval()
    original = {key: value.clone() for key, value in layer.state_dict().items()}
    model = nnx.Linear(3, 3, rngs=RNGS)
    interop.load_state_dict(model, original)
    base, u = "parametrizations.weight.", original["parametrizations.weight.0._u"].numpy()
    step = np.random.default_rng(0).normal(0, 0.1, (3, 3))
    model.kernel[...] += (step - np.outer(u, u @ step) / (u @ u)).T.astype("float32")  # u^T M v stays 1
    tensors = interop.state_dict(model, like=original)
    for name in ("0._u", "0._v"):
        assert tensors[base + name].tobytes() == original[base + name].numpy().tobytes()
    layer.load_state_dict(interop.to_torch(tensors), strict=True)
    np.testing.assert_allclose(layer.double().weight.detach(), model.kernel[...].T, rtol=1e-6, atol=0)


def test_a_fold_does_not_depend_on_the_order_of_the_memory():
    rng = np.random.default_rng(0)
    v, g, u, w = rng.random((16, 8, 3, 3)), rng.random((16, 1, 1, 1)), rng.random(16), rng.random(72)
    last = np.ascontiguousarray(v.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert weight_norm(g, v).tobytes() == weight_norm(g, last).tobytes()
    assert spectral_norm(v, u, w).tobytes() == spectral_norm(last, u, w).tobytes()


def test_a_norm_that_cannot_stand_for_the_weight():
    layer = torch.nn.Sequential(torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(3, 3)), torch.nn.ReLU())
    original = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    model = nnx.Sequential(nnx.Linear(3, 3, rngs=RNGS), nnx.relu)
    interop.load_state_dict(model, original)
    model.layers[0].kernel[...] = 0
    with pytest.raises(
        ValueError, match=r"(?s)like has norms that cannot.*leave like out.*0.parametrizations.weight.ori"
    ):
        interop.state_dict(model, like=original)
    model.layers[0].kernel[...] = jnp.nan
    tensors = interop.state_dict(model, like=original)
    assert np.isnan(tensors["0.parametrizations.weight.original"]).all()
    # A vector's spectral norm always makes a length of one.
    norm = torch.nn.utils.parametrizations.spectral_norm(torch.nn.LayerNorm(4)).eval()
    twin = nnx.LayerNorm(4, rngs=RNGS)
    interop.load_state_dict(twin, norm.state_dict())
    same(interop.state_dict(twin, like=norm.state_dict()), norm.state_dict())
    twin.scale[...] = jnp.array([0.6, 0, 0.8, 0])
    norm.load_state_dict(interop.to_torch(interop.state_dict(twin, like=norm.state_dict())), strict=True)
    np.testing.assert_allclose(norm.weight.detach(), twin.scale[...], rtol=1e-6)
    twin.scale[...] = 1
    with pytest.raises(ValueError, match=r"a spectral norm cannot stand for the new weight of shape \(4,\)"):
        interop.state_dict(twin, like=norm.state_dict())


DTYPES = ["float16", "bfloat16", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    torch.manual_seed(0)
    layer = torch.nn.Sequential(
        torch.nn.Linear(3, 3), torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2))
    )
    original = layer.to(getattr(torch, dtype)).state_dict()
    model = nnx.Sequential(nnx.Linear(3, 3, rngs=RNGS), nnx.Linear(3, 2, rngs=RNGS))
    interop.load_state_dict(model, original, downcast=True)
    same(interop.state_dict(model, like=original), original)
    model.layers[0].bias[...] = 0.5
    model.layers[0].kernel[0, 0] = 0.1  # not a float16
    model.layers[1].kernel[...] *= 1.1
    tensors = interop.state_dict(model, like=original)
    wider = "float64" if dtype == "float64" else "float32"
    assert {name: tensor.dtype.name for name, tensor in tensors.items()} == {
        "0.weight": wider,
        "0.bias": dtype,
        "1.bias": dtype,
        "1.parametrizations.weight.original0": wider,
        "1.parametrizations.weight.original1": wider,
    }
    # Of a float64 tensor, what did not change keeps what float32 does not hold.
    np.testing.assert_array_equal(tensors["0.weight"].ravel()[1:], original["0.weight"].double().numpy().ravel()[1:])
    assert tensors["0.weight"][0, 0] == np.float32(0.1)
    again = nnx.Sequential(nnx.Linear(3, 3, rngs=RNGS), nnx.Linear(3, 2, rngs=RNGS))
    interop.load_state_dict(again, tensors, downcast=True)
    np.testing.assert_array_equal(again.layers[0].kernel[...], model.layers[0].kernel[...])
    np.testing.assert_allclose(again.layers[1].kernel[...], model.layers[1].kernel[...], rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_biases_in_other_dtypes(dtype):
    torch.manual_seed(0)
    original = torch.nn.LSTM(3, 8).to(getattr(torch, dtype)).state_dict()
    model = nnx.RNN(nnx.OptimizedLSTMCell(3, 8, rngs=RNGS), rngs=RNGS)
    interop.load_state_dict(model, original, downcast=True)
    wide = {
        name: tensor.to(torch.float64 if dtype == "float64" else torch.float32) for name, tensor in original.items()
    }
    # torch adds in the module's dtype, not in the checkpoint's.
    summed = (wide["bias_ih_l0"] + wide["bias_hh_l0"]).float().numpy()
    np.testing.assert_array_equal(model.cell.dense_h.bias[...], summed)
    same(interop.state_dict(model, like=original), original)
    model.cell.dense_h.bias[3:] *= 1.01
    tensors = interop.state_dict(model, like=original)
    again = nnx.RNN(nnx.OptimizedLSTMCell(3, 8, rngs=RNGS), rngs=RNGS)
    interop.load_state_dict(again, tensors, downcast=True)
    np.testing.assert_array_equal(again.cell.dense_h.bias[...], model.cell.dense_h.bias[...])
    np.testing.assert_array_equal(tensors["bias_ih_l0"][:3], original["bias_ih_l0"][:3].to(torch.float64).numpy())


def test_a_model_in_half_precision():
    torch.manual_seed(0)
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(8, 8))
    original = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    model = nnx.Linear(8, 8, param_dtype=jnp.bfloat16, rngs=RNGS)
    interop.load_state_dict(model, original, downcast=True)
    same(interop.state_dict(model, like=original), original)
    model.kernel[...] *= 2
    tensors = interop.state_dict(model, like=original)
    layer.load_state_dict(interop.to_torch(tensors))
    np.testing.assert_allclose(
        layer.weight.detach(), interop.state_dict(model)["weight"].astype("float32"), rtol=1e-6, atol=0
    )
    half = {name: tensor.to(torch.bfloat16) for name, tensor in original.items()}
    interop.load_state_dict(model, half)
    model.kernel[...] *= 3
    dtypes = {name: tensor.dtype for name, tensor in interop.state_dict(model, like=half).items()}
    magnitude, direction = "parametrizations.weight.original0", "parametrizations.weight.original1"
    assert (dtypes[magnitude], dtypes[direction]) == (np.float32, ml_dtypes.bfloat16)


class Tied(nnx.Module):
    """One layer in two places, and an array that two layers share."""

    def __init__(self):
        self.first = nnx.Linear(3, 3, rngs=RNGS)
        self.middle = nnx.Embed(4, 3, rngs=RNGS)
        self.last = self.first
        self.head = nnx.Embed(4, 3, rngs=RNGS)
        self.head.embedding = self.middle.embedding


def test_what_is_shared():
    rng = np.random.default_rng(0)
    w, b, e = rng.random((3, 3), "float32"), rng.random(3, "float32"), rng.random((4, 3), "float32")
    original = {
        "last.bias": b,
        "head.weight": e,
        "first.weight": w,
        "middle.weight": e,
        "last.weight": w,
        "first.bias": b,
    }
    model = Tied()
    interop.load_state_dict(model, original)
    same(interop.state_dict(model, like=original), original)
    model.last.kernel[...] *= 2
    model.head.embedding[...] *= 2
    tensors = interop.state_dict(model, like=original)
    for name, tensor in original.items():
        np.testing.assert_array_equal(tensors[name], tensor * (1 if name.endswith("bias") else 2))
    # A checkpoint that has the layer once gets it once.
    once = {name: tensor for name, tensor in original.items() if not name.startswith("first")}
    interop.load_state_dict(model, once)
    same(interop.state_dict(model, like=once), once)


def test_a_linen_layer_that_is_called_twice():
    class Net(nn.Module):
        def setup(self):
            self.shared = nn.Dense(3)
            self.again = self.shared

        def __call__(self, x):
            return self.again(self.shared(x))

    rng = np.random.default_rng(0)
    w, b, x = rng.random((3, 3), "float32"), rng.random(3, "float32"), np.ones((1, 3), "float32")
    original = {"again.bias": b, "shared.weight": w, "again.weight": w, "shared.bias": b}
    variables, _ = interop.linen_variables(Net(), original, x)
    same(interop.linen_state_dict(Net(), variables, x, like=original), original)
    variables = jax.tree.map(lambda a: a * 2, variables)
    tensors = interop.linen_state_dict(Net(), variables, x, like=original)
    assert list(tensors) == list(original)
    assert all((tensors[name] == 2 * original[name]).all() for name in original)


def two():
    rngs = nnx.Rngs(0)
    return nnx.Sequential(nnx.Linear(3, 4, rngs=rngs), nnx.BatchNorm(4, rngs=rngs))


def test_the_rename_and_the_order_that_it_was_loaded_with():
    layers = {"g.a": torch.nn.Linear(3, 4), "ema.a": torch.nn.Linear(3, 4), "g.b": torch.nn.BatchNorm1d(4)}
    original = {
        f"{path}.{name}": tensor for path, layer in layers.items() for name, tensor in layer.state_dict().items()
    }
    original["step"] = torch.tensor(7)
    options = [
        {"rename": {"g.a.": "0.", "g.b.": "1.", "ema": None, "step": None}},
        {"rename": {"ema": None, "step": None}, "match": "order"},
        {"rename": lambda name: name.replace("g.a", "0").replace("g.b", "1") if name.startswith("g.") else None},
    ]
    for option in options:
        model = two()
        interop.load_state_dict(model, original, **option)
        same(interop.state_dict(model, like=original, **option), original)
        model.layers[0].bias[...] = 5
        tensors = interop.state_dict(model, like=original, **option)
        assert (tensors["g.a.bias"] == 5).all()
        same({**tensors, "g.a.bias": original["g.a.bias"].numpy()}, original)


def test_counters_can_be_given():
    original = {**two_tensors(), "1.num_batches_tracked": np.array(12)}
    model = two()
    interop.load_state_dict(model, original)
    assert interop.state_dict(model, like=original)["1.num_batches_tracked"] == 12
    assert interop.state_dict(model, like=original, num_batches_tracked=0)["1.num_batches_tracked"] == 0
    given = interop.state_dict(model, like=original, num_batches_tracked={"1.num_batches_tracked": 3})
    assert (given["1.num_batches_tracked"], given["1.num_batches_tracked"].dtype) == (3, np.int64)
    with pytest.raises(ValueError, match="num_batches_tracked must be an int or have .* lacks '1.num_batches"):
        interop.state_dict(model, like=original, num_batches_tracked={})
    # A checkpoint from before there were counters gets none.
    interop.load_state_dict(model, two_tensors())
    assert list(interop.state_dict(model, like=two_tensors())) == list(two_tensors())


def two_tensors():
    """What fills `two`."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    return {name: tensor for name, tensor in model.state_dict().items() if "num_batches" not in name}


def test_nothing_is_shared_with_the_original():
    layer = torch.nn.Linear(3, 4)
    model = nnx.Linear(3, 4, rngs=RNGS)
    interop.load_state_dict(model, layer.state_dict())
    tensors = interop.state_dict(model, like=layer.state_dict())
    before = layer.bias.detach().clone().numpy()
    with torch.no_grad():
        layer.bias += 1
    np.testing.assert_array_equal(tensors["bias"], before)
    tensors["weight"][...] = 0
    assert layer.weight.abs().min() > 0


def test_the_original_may_be_a_file_or_lie_otherwise_in_memory(tmp_path):
    torch.manual_seed(0)
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(64, 64, 3))
    original = layer.state_dict()
    model = nnx.Conv(64, 64, (3, 3), rngs=RNGS)
    interop.load_state_dict(model, original)
    torch.save(original, tmp_path / "net.pth")
    last = {name: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t for name, t in original.items()}
    for other in (last, interop.read(tmp_path / "net.pth"), {name: jnp.asarray(t) for name, t in original.items()}):
        same(interop.state_dict(model, like=other), original)


def test_what_does_not_fit_is_one_error():
    model, original = two(), two_tensors()
    interop.load_state_dict(model, original)
    wrong = {name: tensor for name, tensor in original.items() if name != "0.bias"}
    wrong |= {"0.weight": np.ones((2, 2), "float32"), "head.weight": np.ones(1, "float32")}
    with pytest.raises(ValueError, match="like must be the state dict that the model was loaded from") as caught:
        interop.state_dict(model, like=wrong)
    for words in (
        "0.weight (2, 2), where the model needs (4, 3)",
        "missing from the state dict (1):\n  0.bias",
        "head",
    ):
        assert words in str(caught.value)
    with pytest.raises(TypeError, match="like must be a mapping of names to tensors.*got str; a file is read with"):
        interop.state_dict(model, like="net.pth")
    with pytest.raises(ValueError, match='match="order" is about the state dict that was loaded: give that as like='):
        interop.state_dict(model, match="order")
    with pytest.raises(ValueError, match="the model has shapes but no values"):
        interop.state_dict(nnx.eval_shape(two), like=original)


def test_a_step_of_training():
    torch.manual_seed(0)
    norm = torch.nn.utils.parametrizations.spectral_norm
    original = torch.nn.Sequential(
        norm(torch.nn.ConvTranspose2d(3, 4, 4, 2, 1)),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Conv2d(4, 3, 3),
    )
    x = torch.randn(2, 3, 5, 5)
    original(x)
    model = nnx.Sequential(
        jax_tconv.nnx.ConvTranspose(3, 4, (4, 4), 2, padding=1, rngs=RNGS),
        nnx.BatchNorm(4, momentum=0.9, rngs=RNGS),
        nnx.relu,
        nnx.Conv(4, 3, (3, 3), padding=0, rngs=RNGS),
    )
    interop.load_state_dict(model, original.state_dict())
    images = jnp.asarray(x.movedim(1, -1).numpy())
    gradient = nnx.grad(lambda model: (model(images) ** 2).mean())(model)
    nnx.update(model, jax.tree.map(lambda value, step: value - 0.1 * step, nnx.state(model, nnx.Param), gradient))
    model.eval()
    tensors = interop.state_dict(model, like=original.state_dict())
    u = "0.parametrizations.weight.0._u"
    assert tensors[u].tobytes() == original.state_dict()[u].numpy().tobytes()
    original.load_state_dict(interop.to_torch(tensors), strict=True)
    with torch.inference_mode():
        y = original.eval()(x)
    close(np.asarray(model(images)), y.movedim(1, -1).numpy())
