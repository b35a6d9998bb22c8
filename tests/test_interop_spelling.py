"""The table of torch's classes as source: what is written of a call reads well, and makes the same layer."""

import inspect

import numpy as np
import pytest
from flax import nnx
from flax.nnx.nn.linear import canonicalize_padding

from jax_tconv.interop._from_torch.activations import ACTIVATIONS, ALONG_AN_AXIS
from jax_tconv.interop._from_torch.forms import FEATURES_LAST, MAPS, Site
from jax_tconv.interop._from_torch.made import Apply, Make
from jax_tconv.interop._from_torch.spelling import public_name, shown
from jax_tconv.interop._from_torch.twins import TWINS
from jax_tconv.nnx import ConvTranspose

torch = pytest.importorskip("torch")
tnn = torch.nn
F = torch.nn.functional

# How a person would write modules, and the shapes of their inputs in Flax.
SPELLED = {
    "nnx.Conv(4, 6, (3,), padding=2, kernel_dilation=2, feature_group_count=2, rngs=rngs)": (
        tnn.Conv1d(4, 6, 3, padding=2, dilation=2, groups=2),
        (2, 9, 4),
    ),
    "nnx.Conv(3, 4, (3, 3), strides=2, padding=1, rngs=rngs)": (tnn.Conv2d(3, 4, 3, stride=2, padding=1), (2, 7, 6, 3)),
    "nnx.Conv(3, 4, (4, 3), padding=((1, 2), (1, 1)), use_bias=False, rngs=rngs)": (
        tnn.Conv2d(3, 4, (4, 3), padding="same", bias=False),
        (2, 7, 6, 3),
    ),
    "nnx.Conv(3, 4, (3, 3), padding='CIRCULAR', rngs=rngs)": (
        tnn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"),
        (2, 7, 6, 3),
    ),
    "nnx.Conv(2, 3, (3, 3, 3), strides=(1, 2, 2), padding=(0, 1, 1), rngs=rngs)": (
        tnn.Conv3d(2, 3, 3, stride=(1, 2, 2), padding=(0, 1, 1)),
        (1, 5, 6, 7, 2),
    ),
    "ConvTranspose(4, 3, (5,), rngs=rngs)": (tnn.ConvTranspose1d(4, 3, 5), (2, 5, 4)),
    "ConvTranspose(4, 3, (3, 3), strides=2, padding=1, output_padding=1, rngs=rngs)": (
        tnn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
        (2, 5, 6, 4),
    ),
    "ConvTranspose(4, 3, (3, 3, 3), strides=2, output_padding=(0, 1, 1), kernel_dilation=2, rngs=rngs)": (
        tnn.ConvTranspose3d(4, 3, 3, stride=2, output_padding=(0, 1, 1), dilation=2),
        (1, 3, 4, 5, 4),
    ),
    "nnx.Linear(3, 4, rngs=rngs)": (tnn.Linear(3, 4), (2, 3)),
    "nnx.Linear(3, 4, use_bias=False, param_dtype=float16, rngs=rngs)": (tnn.Linear(3, 4, bias=False).half(), (2, 3)),
    "nnx.Embed(5, 3, rngs=rngs)": (tnn.Embedding(5, 3), None),
    "nnx.BatchNorm(3, momentum=0.9, use_fast_variance=False, rngs=rngs)": (tnn.BatchNorm1d(3), (6, 3)),
    "nnx.BatchNorm(3, momentum=0.1, use_fast_variance=False, rngs=rngs)": (
        tnn.BatchNorm2d(3, momentum=0.9),
        (2, 4, 5, 3),
    ),
    "nnx.BatchNorm(3, epsilon=0.1, use_bias=False, use_scale=False, use_fast_variance=False, rngs=rngs)": (
        tnn.BatchNorm3d(3, eps=0.1, momentum=0.01, affine=False),
        (2, 4, 5, 2, 3),
    ),
    "nnx.LayerNorm(3, epsilon=1e-05, use_fast_variance=False, rngs=rngs)": (tnn.LayerNorm(3), (2, 3)),
    "LayerNorm((4, 5, 3), use_bias=False, use_fast_variance=False, rngs=rngs)": (
        tnn.LayerNorm([3, 4, 5], bias=False),
        (2, 4, 5, 3),
    ),
    "LayerNorm((4, 5), axes=(-3, -2), use_fast_variance=False, rngs=rngs)": (tnn.LayerNorm([4, 5]), (2, 4, 5, 3)),
    "nnx.RMSNorm(3, use_fast_variance=False, rngs=rngs)": (tnn.RMSNorm(3, eps=1e-6), (2, 3)),
    "nnx.GroupNorm(4, num_groups=2, epsilon=1e-05, use_fast_variance=False, rngs=rngs)": (
        tnn.GroupNorm(2, 4),
        (2, 3, 4),
    ),
    "nnx.InstanceNorm(3, epsilon=1e-05, use_bias=False, use_scale=False, use_fast_variance=False, rngs=rngs)": (
        tnn.InstanceNorm1d(3),
        (2, 5, 3),
    ),
    "nnx.InstanceNorm(3, epsilon=1e-05, use_fast_variance=False, rngs=rngs)": (
        tnn.InstanceNorm2d(3, affine=True),
        (2, 5, 4, 3),
    ),
    "nnx.BatchNorm(3, use_fast_variance=False, rngs=rngs)": (
        tnn.InstanceNorm3d(3, affine=True, track_running_stats=True).eval(),
        (2, 5, 4, 2, 3),
    ),
    "PReLU()": (tnn.PReLU(), (2, 3)),
    "PReLU(4)": (tnn.PReLU(4), (2, 3, 4)),
    "nnx.Dropout(0.25, rngs=rngs)": (tnn.Dropout(0.25), (2, 3)),
    "nnx.Dropout(0.5, broadcast_dims=(1,), rngs=rngs)": (tnn.Dropout1d(), (2, 5, 3)),
    "nnx.Dropout(0.5, broadcast_dims=(1, 2), rngs=rngs)": (tnn.Dropout2d().eval(), (2, 5, 4, 3)),
    "nnx.Dropout(0.5, broadcast_dims=(1, 2, 3), rngs=rngs)": (tnn.Dropout3d(), (2, 5, 4, 2, 3)),
    "nnx.OptimizedLSTMCell(3, 4, rngs=rngs)": (tnn.LSTMCell(3, 4), (2, 3)),
    "GRUCell(3, 4, rngs=rngs)": (tnn.GRUCell(3, 4), (2, 3)),
    "nnx.GRUCell(3, 4, rngs=rngs)": (tnn.GRUCell(3, 4, bias=False), (2, 3)),
    "nnx.RNN(GRUCell(3, 4, rngs=rngs), time_major=True)": (tnn.GRU(3, 4), (5, 2, 3)),
    "nnx.Sequential(nnx.RNN(nnx.OptimizedLSTMCell(3, 4, rngs=rngs)), nnx.Dropout(0.5, rngs=rngs), "
    "nnx.RNN(nnx.OptimizedLSTMCell(4, 4, rngs=rngs)))": (
        tnn.LSTM(3, 4, 2, batch_first=True, dropout=0.5),
        (2, 5, 3),
    ),
    "nnx.Bidirectional(nnx.RNN(nnx.OptimizedLSTMCell(3, 4, rngs=rngs)), nnx.RNN(nnx.OptimizedLSTMCell(3, "
    "4, rngs=rngs)))": (
        tnn.LSTM(3, 4, batch_first=True, bidirectional=True),
        (2, 5, 3),
    ),
    "nnx.MultiHeadAttention(3, 6, decode=False, rngs=rngs)": (
        tnn.MultiheadAttention(6, 3, batch_first=True),
        (2, 4, 6),
    ),
    "nnx.MultiHeadAttention(3, 6, use_bias=False, dropout_rate=0.1, broadcast_dropout=False, "
    "deterministic=False, decode=False, rngs=rngs)": (
        tnn.MultiheadAttention(6, 3, batch_first=True, dropout=0.1, bias=False),
        (2, 4, 6),
    ),
    "nnx.identity": (tnn.Identity(), (2, 3)),
    "nnx.relu": (tnn.ReLU(), (2, 3)),
    "jax.nn.mish": (tnn.Mish(), (2, 3)),
    "nnx.leaky_relu": (tnn.LeakyReLU(), (2, 3)),
    "nnx.leaky_relu(negative_slope=0.2)": (tnn.LeakyReLU(0.2), (2, 3)),
    "nnx.gelu(approximate=False)": (tnn.GELU(), (2, 3)),
    "nnx.gelu": (tnn.GELU("tanh"), (2, 3)),
    "jnp.clip(min=-2.0, max=1.0)": (tnn.Hardtanh(-2.0), (2, 3)),
    "nnx.softmax": (tnn.Softmax(1), (2, 4, 5, 3)),
    "nnx.glu": (tnn.GLU(1), (2, 5, 7, 4)),
    "functional.softmin": (tnn.Softmin(1), (2, 4, 5, 3)),
    "nnx.log_softmax(axis=0)": (tnn.LogSoftmax(0), (2, 3)),
    "jnp.pad(pad_width=((0, 0), (1, 2), (0, 0)))": (tnn.ZeroPad1d((1, 2)), (2, 5, 3)),
    "jnp.pad(pad_width=((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=0.5)": (
        tnn.ConstantPad2d(1, 0.5),
        (2, 4, 5, 3),
    ),
    "jnp.pad(pad_width=((0, 0), (2, 0), (0, 0)), mode='reflect')": (tnn.ReflectionPad1d((2, 0)), (2, 5, 3)),
}
# The other functions, which are made and compared alone.
FUNCTIONS = [
    *[(getattr(tnn, activation.torch_class)(), (2, 3)) for activation in ACTIVATIONS.values()],
    *[
        (getattr(tnn, f"{kind}Pad{n}d")(1, *[0.5] * (kind == "Constant")), (2, *(4, 5, 3)[:n], 3))
        for kind in ("Zero", "Constant", "Reflection", "Replication", "Circular")
        for n in (1, 2, 3)
    ],
    (tnn.Flatten(), (2, 4, 5, 3)),
    (tnn.Unflatten(1, (3, 2)), (2, 6)),
]
PLACES = {
    "flax.nnx": "nnx.",
    "jax_tconv.nnx": "",
    "jax.nn": "jax.nn.",
    "jax.numpy": "jnp.",
    "jax_tconv.functional": "functional.",
}
MODE = {"deterministic", "use_running_average"}


def described(module, shape):
    """What the table says of a module that takes an input of this shape in Flax."""
    vectors = shape is None or len(shape) == 2 or isinstance(module, tnn.RNNBase | tnn.MultiheadAttention)
    forms = FEATURES_LAST if vectors else frozenset({MAPS[len(shape) - 2]})
    return TWINS[type(module).__name__][0](module, Site(forms))


def written(twin):
    """A description as text."""
    args, kwargs = shown(twin)
    place, name = public_name(twin.function)
    words = [written(arg) if isinstance(arg, Make) else repr(arg) for arg in args]
    words += [f"{key}={getattr(value, 'name', repr(value))}" for key, value in kwargs.items()]
    return f"{PLACES[place]}{name}" + (f"({', '.join(words)})" if words or isinstance(twin, Make) else "")


def respelled(twin):
    """The description with no more than what is shown of it."""
    args, kwargs = shown(twin)
    if isinstance(twin, Apply):
        return Apply(twin.function, kwargs)
    return Make(twin.function, tuple(respelled(arg) if isinstance(arg, Make) else arg for arg in args), kwargs)


def attributes(layer):
    """What a layer has besides values, initializers, random numbers and its mode, in one form for each meaning."""
    found = {}
    for name, value in vars(layer).items():
        if isinstance(value, nnx.Variable):
            found[name] = type(value), value.shape, value.dtype
        elif isinstance(value, nnx.Module):
            found[name] = type(value), attributes(value)
        elif isinstance(value, nnx.List):
            found[name] = [(type(item), attributes(item)) for item in value]
        elif isinstance(layer, nnx.Conv) and name == "padding":
            found[name] = canonicalize_padding(value, len(layer.kernel_size))
        elif isinstance(layer, nnx.Conv) and name in ("strides", "kernel_dilation"):
            found[name] = np.broadcast_to(value, len(layer.kernel_size)).tolist()
        elif not name.endswith(("_init", "__state")) and not isinstance(value, nnx.RngStream):
            found[name] = value
    if found.get("dropout_rate") == 0:
        del found["broadcast_dropout"]
    return {name: value for name, value in found.items() if name not in MODE}


@pytest.mark.parametrize("text", SPELLED)
def test_what_is_written(text):
    module, shape = SPELLED[text]
    twin = described(module, shape)
    assert written(twin) == text
    made, again = twin.make(nnx.Rngs(0)), respelled(twin).make(nnx.Rngs(0))
    if isinstance(twin, Make):
        assert type(again) is type(made)
        assert attributes(again) == attributes(made)
    if isinstance(made, nnx.Conv | ConvTranspose):
        nnx.update(made, nnx.state(again))  # the kernels of one are zeros
    if isinstance(made, nnx.Conv | ConvTranspose) or isinstance(twin, Apply):
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        np.testing.assert_array_equal(again(x), made(x))


@pytest.mark.parametrize(("module", "shape"), FUNCTIONS, ids=str)
def test_functions_with_what_is_shown_of_them(module, shape):
    twin = described(module, shape)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32) * 5
    np.testing.assert_array_equal(respelled(twin).make()(x), twin.make()(x))


def test_every_class_of_the_table_is_written():
    assert {type(module).__name__ for module, _ in (*SPELLED.values(), *FUNCTIONS)} == {*TWINS}


def test_a_function_that_is_not_public_has_no_public_name():
    with pytest.raises(LookupError, match="_helper of .*test_interop_spelling is not public"):
        public_name(_helper)


def _helper(x):
    return x


OTHER_ARGUMENTS = {
    "leaky_relu": {"negative_slope": 0.3},
    "elu": {"alpha": 0.7},
    "celu": {"alpha": 2.5},
    "gelu": {"approximate": "tanh"},
    "hardshrink": {"lambd": 1.5},
    "softshrink": {"lambd": 2.5},
    "hardtanh": {"min_val": -2, "max_val": 0.5},
    "softplus": {"beta": 3, "threshold": 2},
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_by_torchs_name_of_the_function(name):
    x = torch.linspace(-30, 30, 1201)
    for given in ({}, OTHER_ARGUMENTS.get(name, {})):
        ours = ACTIVATIONS[name].apply(**given).make()(x.numpy())
        np.testing.assert_allclose(ours, getattr(F, name)(x, **given).numpy(), rtol=1e-5, atol=1e-6)
    assert {*ACTIVATIONS[name].arguments} == {*OTHER_ARGUMENTS.get(name, ())}


@pytest.mark.parametrize("name", ALONG_AN_AXIS)
def test_functions_along_an_axis_by_torchs_name(name):
    x = torch.randn(4, 2, 6, generator=torch.Generator().manual_seed(0))  # even, for glu
    for dim in (0, 1, -1):
        ours = ALONG_AN_AXIS[name].apply(dim=dim).make()(x.numpy())
        np.testing.assert_allclose(ours, getattr(F, name)(x, dim=dim).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", {**ACTIVATIONS, **ALONG_AN_AXIS})
def test_arguments_have_the_names_and_the_order_of_torchs_function_and_its_module(name):
    activation = {**ACTIVATIONS, **ALONG_AN_AXIS}[name]
    module = getattr(tnn, activation.torch_class)()
    assert all(hasattr(module, argument) for argument in activation.arguments)
    try:
        parameters = inspect.signature(getattr(F, name)).parameters
    except ValueError:  # written in C++
        return
    taken = [argument for argument in parameters if argument in activation.arguments]
    assert taken == [*activation.arguments]
    for argument, ours in activation.arguments.items():
        assert parameters[argument].default in (ours.default, inspect.Parameter.empty)
