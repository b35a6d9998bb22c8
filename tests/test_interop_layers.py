"""Every layer type of the table, in nnx and in linen, against torch: outputs, and the way back bit for bit."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx
from jax_tconv import interop
from jax_tconv.interop._layers.layer_types import LAYER_TYPES

torch = pytest.importorskip("torch")
RNGS = nnx.Rngs(0)
MAP, VECTORS, SQUARES = (
    (2, 4, 4, 4),
    (2, 5, 4),
    (2, 4, 4),
)  # equal sizes wherever they fit: only values tell one axis from another
UP = {"strides": 2, "padding": ((2, 2), (2, 2))}  # torch's padding=1 with a kernel of 4, as Flax counts it

# torch's layer, its nnx twin, its linen twin, the shape of torch's input.
LAYERS = {
    "conv_transpose": (
        lambda: torch.nn.ConvTranspose2d(4, 4, 4, 2, 1, groups=2, output_padding=1),
        lambda: jax_tconv.nnx.ConvTranspose(
            4, 4, (4, 4), 2, padding=1, feature_group_count=2, output_padding=1, rngs=RNGS
        ),
        lambda: jax_tconv.linen.ConvTranspose(4, (4, 4), 2, padding=1, feature_group_count=2, output_padding=1),
        MAP,
    ),
    "flax_conv_transpose": (
        lambda: torch.nn.ConvTranspose2d(4, 4, 4, 2, 1),
        lambda: nnx.ConvTranspose(4, 4, (4, 4), rngs=RNGS, **UP),
        lambda: nn.ConvTranspose(4, (4, 4), **UP),
        MAP,
    ),
    "flax_conv_transpose, transpose_kernel": (
        lambda: torch.nn.ConvTranspose2d(4, 4, 4, 2, 1),
        lambda: nnx.ConvTranspose(4, 4, (4, 4), transpose_kernel=True, rngs=RNGS, **UP),
        lambda: nn.ConvTranspose(4, (4, 4), transpose_kernel=True, **UP),
        MAP,
    ),
    "conv1d": (
        lambda: torch.nn.Conv1d(4, 4, 4, padding=1, dilation=2),
        lambda: nnx.Conv(4, 4, (4,), padding=1, kernel_dilation=2, rngs=RNGS),
        lambda: nn.Conv(4, (4,), padding=1, kernel_dilation=2),
        (2, 4, 9),
    ),
    "conv2d, groups": (
        lambda: torch.nn.Conv2d(4, 8, 3, groups=4, bias=False),
        lambda: nnx.Conv(4, 8, (3, 3), padding=0, feature_group_count=4, use_bias=False, rngs=RNGS),
        lambda: nn.Conv(8, (3, 3), padding=0, feature_group_count=4, use_bias=False),
        MAP,
    ),
    "conv3d": (
        lambda: torch.nn.Conv3d(3, 3, 3),
        lambda: nnx.Conv(3, 3, (3, 3, 3), padding=0, rngs=RNGS),
        lambda: nn.Conv(3, (3, 3, 3), padding=0),
        (1, 3, 4, 5, 6),
    ),
    "linear": (
        lambda: torch.nn.Linear(4, 4),
        lambda: nnx.Linear(4, 4, rngs=RNGS),
        lambda: nn.Dense(4),
        VECTORS,
    ),
    "linear_general": (
        lambda: torch.nn.Sequential(torch.nn.Flatten(2), torch.nn.Linear(4, 6), torch.nn.Unflatten(-1, (2, 3))),
        lambda: nnx.List([nnx.LinearGeneral((2, 2), (2, 3), axis=(-2, -1), rngs=RNGS)]),
        None,
        (2, 5, 2, 2),
    ),
    "embedding": (
        lambda: torch.nn.Embedding(4, 4),
        lambda: nnx.Embed(4, 4, rngs=RNGS),
        lambda: nn.Embed(4, 4),
        "tokens",
    ),
    "batch_norm": (
        lambda: torch.nn.BatchNorm2d(4),
        lambda: nnx.BatchNorm(4, use_running_average=True, rngs=RNGS),
        lambda: nn.BatchNorm(use_running_average=True),
        MAP,
    ),
    "batch_norm, plain": (
        lambda: torch.nn.BatchNorm1d(4, affine=False),
        lambda: nnx.BatchNorm(4, use_running_average=True, use_bias=False, use_scale=False, rngs=RNGS),
        lambda: nn.BatchNorm(use_running_average=True, use_bias=False, use_scale=False),
        (3, 4),
    ),
    "layer_norm": (
        lambda: torch.nn.LayerNorm(4),
        lambda: nnx.LayerNorm(4, epsilon=1e-5, rngs=RNGS),
        lambda: nn.LayerNorm(epsilon=1e-5),
        VECTORS,
    ),
    "layer_norm, two axes": (
        lambda: torch.nn.LayerNorm([5, 4]),
        lambda: jax_tconv.nnx.LayerNorm((5, 4), rngs=RNGS),
        lambda: nn.LayerNorm(epsilon=1e-5, reduction_axes=(-2, -1), feature_axes=(-2, -1)),
        VECTORS,
    ),
    "layer_norm, two axes, no bias": (
        lambda: torch.nn.LayerNorm([5, 4], bias=False),
        lambda: jax_tconv.nnx.LayerNorm((5, 4), use_bias=False, rngs=RNGS),
        lambda: nn.LayerNorm(epsilon=1e-5, reduction_axes=(-2, -1), feature_axes=(-2, -1), use_bias=False),
        VECTORS,
    ),
    "group_norm": (
        lambda: torch.nn.GroupNorm(2, 4),
        lambda: nnx.GroupNorm(4, 2, epsilon=1e-5, rngs=RNGS),
        lambda: nn.GroupNorm(2, epsilon=1e-5),
        MAP,
    ),
    "instance_norm": (
        lambda: torch.nn.InstanceNorm2d(4, affine=True),
        lambda: nnx.InstanceNorm(4, epsilon=1e-5, rngs=RNGS),
        lambda: nn.InstanceNorm(epsilon=1e-5),
        MAP,
    ),
    "instance_norm, running statistics": (
        lambda: torch.nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        lambda: nnx.BatchNorm(4, use_running_average=True, rngs=RNGS),
        lambda: nn.BatchNorm(use_running_average=True),
        MAP,
    ),
    "rms_norm": (
        lambda: torch.nn.RMSNorm(4, eps=1e-6),
        lambda: nnx.RMSNorm(4, epsilon=1e-6, rngs=RNGS),
        lambda: nn.RMSNorm(epsilon=1e-6),
        VECTORS,
    ),
    "prelu": (lambda: torch.nn.PReLU(), lambda: nnx.PReLU(), lambda: nn.PReLU(), MAP),
    "prelu, one slope": (
        lambda: torch.nn.PReLU(),
        lambda: jax_tconv.nnx.PReLU(),
        lambda: jax_tconv.linen.PReLU(),
        MAP,
    ),
    "prelu, a slope per channel": (
        lambda: torch.nn.PReLU(4),
        lambda: jax_tconv.nnx.PReLU(4),
        lambda: jax_tconv.linen.PReLU(4),
        MAP,
    ),
}


def made(name):
    """torch's layer with every value random, and its input and output as Flax has them."""
    torch.manual_seed(0)
    make, _, _, shape = LAYERS[name]
    layer = make().eval()
    with torch.no_grad():
        for tensor in [*layer.parameters(), *layer.buffers()]:
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 2)
    x = torch.tensor([[0, 3, 1], [2, 2, 0]]) if shape == "tokens" else torch.randn(shape)
    with torch.inference_mode():
        y = layer(x)
    return layer, *(as_flax(name, value) for value in (x, y))


def as_flax(name, value):
    return value.movedim(1, -1).numpy() if LAYERS[name][3] not in (VECTORS, "tokens", (2, 5, 2, 2)) else value.numpy()


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * abs(expected).max())


def same_bytes(tensors, state_dict):
    assert list(tensors) == list(state_dict)
    for name, tensor in tensors.items():
        assert tensor.tobytes() == state_dict[name].numpy().tobytes()
        assert tensor.flags.c_contiguous


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "linear_general"])
def test_nnx(name):
    layer, x, y = made(name)
    twin = LAYERS[name][1]()
    report = interop.load_state_dict(twin, layer.state_dict())
    assert report.ok
    assert all(row.exact for row in report.with_status("loaded"))
    close(twin(jnp.asarray(x)), y)
    tensors = interop.state_dict(twin)
    same_bytes(tensors, layer.state_dict())
    layer.load_state_dict(interop.to_torch(tensors), strict=True)


@pytest.mark.parametrize("name", [name for name in LAYERS if LAYERS[name][2]])
def test_linen(name):
    layer, x, y = made(name)
    twin = LAYERS[name][2]()
    variables, _ = interop.linen_variables(twin, layer.state_dict(), x)
    close(twin.apply(variables, x), y)
    same_bytes(interop.linen_state_dict(twin, variables, x), layer.state_dict())


def test_several_axes_of_channels():
    layer, x, y = made("linear_general")
    linear = layer[1]
    twin = LAYERS["linear_general"][1]()[0]
    interop.load_state_dict(twin, linear.state_dict())
    close(twin(x), y)
    same_bytes(interop.state_dict(twin), linear.state_dict())
    dense = nn.DenseGeneral((2, 3), axis=(-2, -1))
    variables, _ = interop.linen_variables(dense, linear.state_dict(), x)
    close(dense.apply(variables, x), y)
    same_bytes(interop.linen_state_dict(dense, variables, x), linear.state_dict())
    with pytest.raises(interop.StateDictError, match="LinearGeneral: PyTorch's Linear has no batch axes"):
        interop.load_state_dict(nnx.LinearGeneral(2, 2, batch_axis={0: 3}, rngs=RNGS), {})


CELLS = {
    "lstm": (torch.nn.LSTMCell, [nnx.LSTMCell, nnx.OptimizedLSTMCell], [nn.LSTMCell, nn.OptimizedLSTMCell]),
    "gru": (torch.nn.GRUCell, [nnx.GRUCell], [nn.GRUCell]),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells(name):
    torch.manual_seed(0)
    make, nnx_cells, linen_cells = CELLS[name]
    layer = make(3, 3)
    x, h, c = torch.randn(3, 2, 3)
    if name == "gru":
        with torch.no_grad():  # nnx's cell has no place for this part; the next test is about it
            layer.bias_hh[6:] = 0
    with torch.inference_mode():
        y = (layer(x, (h, c))[0] if name == "lstm" else layer(x, h)).numpy()
    carry = (jnp.asarray(c), jnp.asarray(h)) if name == "lstm" else jnp.asarray(h)
    state_dict = layer.state_dict()
    for cell in nnx_cells:
        twin = cell(3, 3, rngs=RNGS)
        report = interop.load_state_dict(twin, state_dict)
        close(twin(carry, x.numpy())[1], y)
        check_merged(interop.state_dict(twin), state_dict, report)
    for cell in linen_cells:
        module = cell(3)
        variables, report = interop.linen_variables(module, state_dict, carry, x.numpy())
        close(module.apply(variables, carry, x.numpy())[1], y)
        check_merged(interop.linen_state_dict(module, variables, carry, x.numpy()), state_dict, report)
    layer.load_state_dict(interop.to_torch(interop.state_dict(twin)), strict=True)
    with torch.inference_mode():
        back = (layer(x, (h, c))[0] if name == "lstm" else layer(x, h)).numpy()
    close(back, y)


def check_merged(tensors, state_dict, report):
    """Weights come back bit for bit, biases as their sum, and the report says which."""
    assert list(tensors) == list(state_dict)
    for name in ("weight_ih", "weight_hh"):
        assert tensors[name].tobytes() == state_dict[name].numpy().tobytes()
    summed = (state_dict["bias_ih"] + state_dict["bias_hh"]).numpy()
    np.testing.assert_array_equal(tensors["bias_ih"] + tensors["bias_hh"], summed)
    merged = [row for row in report.with_status("loaded") if "summed" in row.transform]
    assert merged
    assert not any(row.exact for row in merged)
    assert "comes back as bias_ih with bias_hh zero" in merged[0].transform


def test_a_gru_that_nnx_cannot_express():
    layer, twin = torch.nn.GRUCell(3, 3), nnx.GRUCell(3, 3, rngs=RNGS)
    with pytest.raises(interop.StateDictError, match="part 3 of 3 of bias_hh is not zero, and this Flax layer has"):
        interop.load_state_dict(twin, layer.state_dict(), strict=False)
    # linen's cell has that bias.
    x, h = torch.randn(2, 2, 3)
    variables, _ = interop.linen_variables(nn.GRUCell(3), layer.state_dict(), h.numpy(), x.numpy())
    close(nn.GRUCell(3).apply(variables, h.numpy(), x.numpy())[1], layer(x, h).detach().numpy())


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_recurrent_layer_of_torch_is_an_rnn(kind):
    torch.manual_seed(0)
    original = torch.nn.Sequential(getattr(torch.nn, kind)(3, 3, batch_first=True))
    if kind == "GRU":
        with torch.no_grad():
            original[0].bias_hh_l0[6:] = 0
    x = torch.randn(2, 5, 3)
    with torch.inference_mode():
        y = original(x)[0].numpy()
    cell = {"LSTM": nnx.OptimizedLSTMCell, "GRU": nnx.GRUCell}[kind](3, 3, rngs=RNGS)
    twin = nnx.Sequential(nnx.RNN(cell, rngs=RNGS))
    interop.load_state_dict(twin, original.state_dict())
    close(twin(x.numpy()), y)
    assert list(interop.state_dict(twin)) == list(original.state_dict())
    module = nn.Sequential([nn.RNN({"LSTM": nn.LSTMCell, "GRU": nn.GRUCell}[kind](3))])
    variables, _ = interop.linen_variables(module, original.state_dict(), x.numpy())
    close(module.apply(variables, x.numpy()), y)
    assert list(interop.linen_state_dict(module, variables, x.numpy())) == list(original.state_dict())


@pytest.mark.parametrize(("key_channels", "bias"), [(4, True), (4, False), (6, True)])
def test_attention(key_channels, bias):
    torch.manual_seed(0)
    layer = torch.nn.MultiheadAttention(4, 2, bias=bias, kdim=key_channels, vdim=key_channels, batch_first=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-1, 1)
    q, k, v = torch.randn(2, 3, 4), torch.randn(2, 5, key_channels), torch.randn(2, 5, key_channels)
    with torch.inference_mode():
        y = layer(q, k, v)[0].numpy()
    q, k, v = (t.numpy() for t in (q, k, v))
    twin = nnx.MultiHeadAttention(
        2, 4, in_kv_features=key_channels, use_bias=bias, decode=False, deterministic=True, rngs=RNGS
    )
    interop.load_state_dict(twin, layer.state_dict())
    close(twin(q, k, v), y)
    same_bytes(interop.state_dict(twin), layer.state_dict())
    module = nn.MultiHeadDotProductAttention(2, qkv_features=4, use_bias=bias)
    variables, _ = interop.linen_variables(module, layer.state_dict(), q, k, v)
    close(module.apply(variables, q, k, v), y)
    same_bytes(interop.linen_state_dict(module, variables, q, k, v), layer.state_dict())


def test_a_linear_after_a_flatten():
    torch.manual_seed(0)
    original = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(27, 5))
    x = torch.randn(2, 3, 3, 3)
    y = original(x).detach().numpy()
    twin = nnx.Sequential(
        nnx.Conv(3, 3, (3, 3), padding=1, rngs=RNGS), lambda x: x.reshape(len(x), -1), nnx.Linear(27, 5, rngs=RNGS)
    )
    flatten = {"2": (3, 3, 3)}
    interop.load_state_dict(twin, original.state_dict(), flatten=flatten)
    x = x.movedim(1, -1).numpy()
    close(twin(x), y)
    same_bytes(interop.state_dict(twin, flatten=flatten), original.state_dict())
    module = nn.Sequential([nn.Conv(3, (3, 3), padding=1), lambda x: x.reshape(len(x), -1), nn.Dense(5)])
    variables, _ = interop.linen_variables(module, original.state_dict(), x, flatten=flatten)
    close(module.apply(variables, x), y)
    for wrong, message in [
        ({"1": (3, 3, 3)}, "flatten names '1', which the model does not have"),
        ({"0": (3, 3, 3)}, "flatten is for Linear and Dense layers, but this is a Conv"),
        ({"2": (3, 3, 2)}, r"Linear: 3 \* 3 \* 2 is not 27"),
        ({"2": 27}, "flatten must be a mapping of a layer's name to the shape"),
        (["2"], "flatten must be a mapping .*, got list"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            interop.load_state_dict(twin, original.state_dict(), flatten=wrong)


def test_arrays_of_ones_own():
    class Net(nnx.Module):
        def __init__(self):
            self.scale = nnx.Param(jnp.ones(3))
            self.temperature = nnx.Param(jnp.ones(()))
            self.constant = nnx.Param(jnp.ones((1, 3, 3, 3)))

    shapes = {"scale": (3,), "temperature": (), "constant": (1, 3, 3, 3)}
    values = {name: np.array(np.random.default_rng(0).random(shape), "float32") for name, shape in shapes.items()}
    net, layouts = Net(), {"constant": "1 c h w -> 1 h w c"}
    interop.load_state_dict(net, values, layouts=layouts)
    np.testing.assert_array_equal(net.scale[...], values["scale"])
    assert net.temperature[...] == values["temperature"]
    np.testing.assert_array_equal(net.constant[...], values["constant"].transpose(0, 2, 3, 1))
    tensors = interop.state_dict(net, layouts=layouts)
    assert {name: tensor.tobytes() for name, tensor in tensors.items()} == {
        name: value.tobytes() for name, value in values.items()
    }
    with pytest.raises(interop.StateDictError, match=r"its array constant, \(1, 3, 3, 3\).*layouts={'constant': "):
        interop.load_state_dict(net, values)
    for wrong in ({"constant": "c h w"}, {"constant": "c h w -> c h x"}, {"other": "a b -> b a"}, "c"):
        with pytest.raises((ValueError, TypeError), match="layouts (must be a mapping|names 'other')"):
            interop.load_state_dict(net, values, layouts=wrong)


def test_a_layer_norm_over_a_square_keeps_its_axes():
    layer, x = torch.nn.LayerNorm([4, 4]), torch.randn(2, 4, 4)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
    twin = jax_tconv.nnx.LayerNorm((4, 4), rngs=RNGS)
    interop.load_state_dict(twin, layer.state_dict())
    close(twin(x.numpy()), layer(x).detach().numpy())
    module = nn.LayerNorm(epsilon=1e-5, reduction_axes=(-2, -1), feature_axes=(-2, -1))
    variables, _ = interop.linen_variables(module, layer.state_dict(), x.numpy())
    close(module.apply(variables, x.numpy()), layer(x).detach().numpy())


def map_norm():
    """A LayerNorm over a whole map, channels first, with equal sizes, so that only the values tell its axes apart."""
    torch.manual_seed(0)
    original = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.LayerNorm([3, 3, 3]))
    with torch.no_grad():
        for parameter in original.parameters():
            parameter.uniform_(0.5, 2)
    x = torch.randn(2, 3, 3, 3)
    return original, x.movedim(1, -1).numpy(), original(x).detach().movedim(1, -1).numpy()


MAP_LAYOUTS = {"1.*": "c h w -> h w c"}


def test_a_layer_norm_over_a_map():
    original, x, y = map_norm()
    twin = nnx.Sequential(nnx.Conv(3, 3, (1, 1), rngs=RNGS), jax_tconv.nnx.LayerNorm((3, 3, 3), rngs=RNGS))
    report = interop.load_state_dict(twin, original.state_dict())
    assert [row.transform for row in report.rows][2:] == ["axes in PyTorch's order; layouts= says otherwise"] * 2
    assert abs(twin(x) - y).max() > 0.1  # nothing tells that this is a map
    interop.load_state_dict(twin, original.state_dict(), layouts=MAP_LAYOUTS)
    close(twin(x), y)
    same_bytes(interop.state_dict(twin, layouts=MAP_LAYOUTS), original.state_dict())
    norm = nn.LayerNorm(epsilon=1e-5, reduction_axes=(-3, -2, -1), feature_axes=(-3, -2, -1))
    module = nn.Sequential([nn.Conv(3, (1, 1)), norm])
    variables, _ = interop.linen_variables(module, original.state_dict(), x, layouts=MAP_LAYOUTS)
    close(module.apply(variables, x), y)
    same_bytes(interop.linen_state_dict(module, variables, x, layouts=MAP_LAYOUTS), original.state_dict())


def test_a_layer_norm_over_the_rows_and_columns_of_a_map():
    layer, x = torch.nn.LayerNorm([4, 5]), torch.randn(2, 3, 4, 5)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
    twin = jax_tconv.nnx.LayerNorm((4, 5), axes=(-3, -2), rngs=RNGS)
    interop.load_state_dict(twin, layer.state_dict())
    close(twin(x.movedim(1, -1).numpy()), layer(x).detach().movedim(1, -1).numpy())


def test_an_rms_norm_over_two_axes():
    layer, x = torch.nn.RMSNorm([5, 4], eps=1e-6), torch.randn(VECTORS)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
    twin = nn.RMSNorm(reduction_axes=(-2, -1), feature_axes=(-2, -1))
    variables, _ = interop.linen_variables(twin, layer.state_dict(), x.numpy())
    close(twin.apply(variables, x.numpy()), layer(x).detach().numpy())
    same_bytes(interop.linen_state_dict(twin, variables, x.numpy()), layer.state_dict())


def test_norms_over_axes_that_do_not_fit():
    twin = nnx.Sequential(jax_tconv.nnx.LayerNorm((4, 5, 3), rngs=RNGS))
    state_dict = torch.nn.Sequential(torch.nn.LayerNorm([3, 4, 5])).state_dict()
    with pytest.raises(interop.StateDictError) as caught:
        interop.load_state_dict(twin, state_dict)
    hint = str(caught.value).partition("say so: layouts=")[2].partition("\n")[0]
    assert hint == "{'0.*': 'c h w -> h w c'}"
    assert interop.load_state_dict(twin, state_dict, layouts={"0.*": "c h w -> h w c"}).ok
    flat = nnx.LayerNorm(12, reduction_axes=(-2, -1), feature_axes=(-2, -1), rngs=RNGS)
    with pytest.raises(interop.StateDictError, match=r"keeps its arrays flat, .*use jax_tconv.nnx.LayerNorm\("):
        interop.load_state_dict(flat, torch.nn.LayerNorm([4, 3]).state_dict())
    with pytest.raises(interop.StateDictError, match="layouts is for .* this is a Conv, whose kernel PyTorch lays out"):
        conv = nnx.Sequential(nnx.Conv(3, 3, (1, 1), rngs=RNGS))
        interop.load_state_dict(conv, {}, layouts={"0.kernel": "o i h w -> h w i o"})
    for axes, shape in [((-1, -2), (3, 3)), ((-2, -1), 3), ((1, 2), (3, 3)), (None, ())]:
        with pytest.raises(ValueError, match="axes must be negative ints in increasing order, one for each size"):
            jax_tconv.nnx.LayerNorm(shape, axes=axes, rngs=RNGS)


def test_running_statistics_that_an_instance_norm_has_not():
    state_dict = torch.nn.InstanceNorm2d(3, affine=True, track_running_stats=True).state_dict()
    with pytest.raises(interop.StateDictError, match="running_var: .*a BatchNorm with use_running_average=True"):
        interop.load_state_dict(nnx.InstanceNorm(3, rngs=RNGS), state_dict)


def test_groups_that_flax_has_not():
    grouped = torch.nn.ConvTranspose2d(4, 4, 3, groups=2).state_dict()
    with pytest.raises(interop.StateDictError, match="Flax's ConvTranspose has no groups; jax_tconv's has"):
        interop.load_state_dict(nnx.ConvTranspose(4, 4, (3, 3), rngs=RNGS), grouped)
    with pytest.raises(interop.StateDictError, match="Flax's PReLU has one slope for all channels; jax_tconv's has"):
        interop.load_state_dict(nnx.PReLU(), torch.nn.PReLU(4).state_dict())
    with pytest.raises(interop.StateDictError, match="num_parameters must be the same on both sides"):
        interop.load_state_dict(jax_tconv.nnx.PReLU(), torch.nn.PReLU(4).state_dict())


def test_every_class_of_the_table_is_tried():
    tried = {cell for _, ours, theirs in CELLS.values() for cell in (*ours, *theirs)}
    tried |= {jax_tconv.nnx.GRUCell}  # in test_interop_recurrent.py
    tried |= {nnx.MultiHeadAttention, nn.MultiHeadDotProductAttention, nn.DenseGeneral, nnx.LinearGeneral}
    for _, ours, theirs, _ in LAYERS.values():
        tried |= {type(make()) for make in (ours, theirs) if make}
    assert LAYER_TYPES.keys() <= tried
