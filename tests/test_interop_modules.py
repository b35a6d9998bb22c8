"""`from_torch`: every layer and activation against PyTorch's own output."""

import warnings
from collections import OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jax_tconv.nnx
from jax_tconv.interop import from_torch

torch = pytest.importorskip("torch")
tnn = torch.nn


def randomized(module):
    """`module` with weights, and running statistics, that tell one from the other."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.3, 1.5, generator=generator)
                if tensor.ndim > 1:
                    tensor -= 0.9
    return module


def agree(ours, wanted, tolerance=1e-5):
    wanted = wanted.detach().to(torch.float64).numpy()
    ours = np.asarray(ours, np.float64)
    assert ours.shape == wanted.shape
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=tolerance * abs(wanted).max())


def maps(x):
    """torch's `(N, C, *spatial)` as Flax has it."""
    return x.detach().movedim(1, -1)


@nnx.jit
def run(model, x):
    return model(x)


def check(module, *shape, moved=True, moved_out=None, x=None):
    """Compares the outputs of `module` and of its twin, which is made first: training changes torch's."""
    model = from_torch(module)
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(1)) if x is None else x
    wanted = module(x)
    ours = run(model, (maps(x) if moved else x).numpy())
    agree(ours, maps(wanted) if (moved if moved_out is None else moved_out) else wanted)
    return model


CONVOLUTIONS = [
    ("1d", (4, 6, 3), {}, (2, 4, 9)),
    ("1d", (4, 6, 4), {"stride": 3, "padding": 2, "dilation": 2, "groups": 2, "bias": False}, (2, 4, 17)),
    ("1d", (4, 4, 4), {"padding": "same", "dilation": 3}, (2, 4, 11)),
    ("2d", (4, 4, 4), {"padding": 1, "groups": 2}, (2, 4, 7, 6)),
    ("2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 3)}, (2, 4, 8, 7)),
    ("2d", (4, 4, 3), {"padding": "valid", "groups": 4}, (1, 4, 5, 6)),
    ("2d", (3, 2, (4, 5)), {"padding": "same"}, (1, 3, 5, 6)),
    ("2d", (3, 3, 3), {"padding": 1, "padding_mode": "circular", "stride": 2}, (2, 3, 6, 7)),
    ("2d", (3, 3, (4, 3)), {"padding": "same", "padding_mode": "circular", "dilation": (1, 2)}, (2, 3, 6, 7)),
    ("2d", (3, 3, 3), {"padding": 2, "dilation": 2, "padding_mode": "reflect"}, (2, 3, 6, 7)),
    ("2d", (3, 3, 3), {"padding_mode": "replicate"}, (2, 3, 6, 7)),
    ("3d", (2, 4, 3), {"padding": (1, 0, 2), "stride": 2, "groups": 2}, (1, 2, 5, 4, 6)),
    ("3d", (2, 3, (1, 2, 3)), {"padding": "same", "padding_mode": "reflect"}, (1, 2, 3, 4, 5)),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(("name", "sizes", "arguments", "shape"), CONVOLUTIONS)
def test_convolutions(name, sizes, arguments, shape):
    model = check(getattr(tnn, f"Conv{name}")(*sizes, **arguments), *shape)
    assert isinstance(model, nnx.Conv)


TRANSPOSED = [
    ("1d", (4, 6, 3), {}, (2, 4, 5)),
    ("1d", (4, 6, 5), {"stride": 3, "padding": 2, "output_padding": 1, "dilation": 2, "groups": 2}, (2, 4, 5)),
    ("2d", (4, 4, 4), {"stride": 2, "padding": 1, "bias": False}, (2, 4, 4, 3)),
    (
        "2d",
        (4, 6, (3, 2)),
        {"stride": (2, 3), "padding": (0, 1), "dilation": (3, 1), "groups": 2, "output_padding": (1, 2)},
        (2, 4, 4, 3),
    ),
    (
        "3d",
        (2, 4, 3),
        {"stride": (1, 2, 2), "padding": (1, 0, 1), "groups": 2, "output_padding": (0, 1, 0)},
        (1, 2, 3, 4, 2),
    ),
]


@pytest.mark.parametrize(("name", "sizes", "arguments", "shape"), TRANSPOSED)
def test_transposed_convolutions(name, sizes, arguments, shape):
    module = getattr(tnn, f"ConvTranspose{name}")(*sizes, **arguments)
    model = check(module, *shape)
    assert isinstance(model, jax_tconv.nnx.ConvTranspose)


def test_output_size_at_the_call():
    module, x = tnn.ConvTranspose2d(4, 3, 3, stride=2, padding=1), torch.randn(2, 4, 5, 6)
    agree(from_torch(module)(maps(x).numpy(), output_size=(10, 11)), maps(module(x, output_size=(10, 11))))


NORMS = [
    (tnn.BatchNorm1d, (5,), {}, (6, 5)),
    (tnn.BatchNorm1d, (5,), {"eps": 0.3, "momentum": 0.4}, (3, 5, 7)),
    (tnn.BatchNorm2d, (5,), {"affine": False, "momentum": 1.0}, (3, 5, 4, 3)),
    (tnn.BatchNorm2d, (5,), {"bias": False, "momentum": 0.0}, (3, 5, 4, 3)),
    (tnn.BatchNorm3d, (5,), {"eps": 1e-3}, (3, 5, 2, 4, 3)),
    (tnn.GroupNorm, (2, 6), {"eps": 0.3}, (3, 6)),
    (tnn.GroupNorm, (3, 6), {}, (3, 6, 7)),
    (tnn.GroupNorm, (1, 6), {"affine": False}, (3, 6, 4, 5)),
    (tnn.GroupNorm, (6, 6), {"bias": False}, (3, 6, 2, 4, 5)),
    (tnn.InstanceNorm1d, (5,), {}, (3, 5, 7)),
    (tnn.InstanceNorm2d, (5,), {"affine": True, "eps": 0.3}, (3, 5, 4, 6)),
    (tnn.InstanceNorm3d, (5,), {"affine": True}, (3, 5, 2, 4, 3)),
]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("cls", "sizes", "arguments", "shape"), NORMS)
def test_norms_over_maps(cls, sizes, arguments, shape, training):
    # With such a mean, a variance in one pass would be off by more than the tolerance.
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(1)) * 3 + 100
    check(randomized(cls(*sizes, **arguments)).train(training), x=x)


@pytest.mark.parametrize(
    ("module", "tail"),
    [
        (tnn.LayerNorm(5), (5,)),
        (tnn.LayerNorm([5], eps=0.3, elementwise_affine=False), (5,)),
        (tnn.LayerNorm(5, bias=False), (5,)),
        (tnn.RMSNorm(5), (5,)),
        (tnn.RMSNorm((5,), eps=0.3, elementwise_affine=False), (5,)),
        (tnn.Linear(5, 3), (5,)),
        (tnn.Linear(5, 5, bias=False), (5,)),
    ],
)
@pytest.mark.parametrize("batch", [(3,), (3, 5), (2, 5, 5)])
def test_layers_on_the_last_axis(module, tail, batch):
    check(randomized(module), *batch, *tail, moved=False)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (tnn.Sequential(tnn.Conv2d(3, 4, 1), tnn.LayerNorm([4, 5, 6])), (2, 3, 5, 6)),
        (tnn.Sequential(tnn.Conv2d(4, 4, 1), tnn.LayerNorm([4, 4, 4]), tnn.Conv2d(4, 2, 2)), (2, 4, 4, 4)),
        (tnn.Sequential(tnn.Conv1d(5, 5, 1), tnn.LayerNorm([5, 5], bias=False)), (2, 5, 5)),
        (tnn.Sequential(tnn.Conv2d(3, 4, 1), tnn.LayerNorm([4, 4])), (2, 3, 4, 4)),
        (tnn.Sequential(tnn.Conv3d(3, 4, 1), tnn.LayerNorm([4, 2, 3, 4], elementwise_affine=False)), (2, 3, 2, 3, 4)),
    ],
)
def test_layer_norms_over_maps(module, shape):
    randomized(module)
    check(module, *shape)


@pytest.mark.parametrize("before", [[], [tnn.Linear(5, 5)]])
def test_layer_norms_over_several_axes_of_sequences(before):
    check(randomized(tnn.Sequential(*before, tnn.LayerNorm([5, 5], eps=0.3), tnn.Linear(5, 2))), 2, 5, 5, moved=False)


def test_a_shared_layer_norm_that_works_along_other_axes():
    norm = randomized(tnn.LayerNorm([3, 3, 3]))
    check(
        tnn.Sequential(norm, tnn.Flatten(), tnn.Unflatten(1, (3, 3, 3)), norm), 2, 3, 3, 3, moved=False, moved_out=True
    )


@pytest.mark.parametrize("shape", [(6, 5), (3, 5, 7), (3, 5, 4, 5)])
def test_a_slope_per_channel(shape):
    module = randomized(tnn.PReLU(5))
    with torch.no_grad():
        module.weight -= 0.9
    check(module, *shape)
    before = {2: tnn.BatchNorm1d(5), 3: tnn.Conv1d(5, 5, 1), 4: tnn.Conv2d(5, 5, 1)}[len(shape)]
    check(tnn.Sequential(before, module), *shape)


@pytest.mark.parametrize("arguments", [{}, {"affine": True, "eps": 0.3}, {"momentum": None}])
def test_instance_norms_with_running_statistics(arguments):
    module = randomized(tnn.InstanceNorm2d(5, track_running_stats=True, **arguments)).eval()
    model = check(module, 3, 5, 4, 6)
    assert isinstance(model, nnx.BatchNorm)


def test_rms_norms_default_epsilon_is_torchs():
    x = torch.tensor([[1e-3, 2e-3]])  # squares next to float32's epsilon
    check(tnn.RMSNorm(2), x=x, moved=False)


def test_training_moves_the_statistics_by_torchs_momentum():
    module = randomized(tnn.BatchNorm2d(3, momentum=0.3))
    x, before = torch.randn(2, 3, 4, 5) + 1, module.running_var.clone()
    model = from_torch(module)
    agree(model(maps(x).numpy()), maps(module(x)))
    agree(model.mean[...], module.running_mean)
    # Flax's share is the biased variance, torch's the unbiased one.
    biased = 0.7 * before + 0.3 * x.var((0, 2, 3), correction=0)
    agree(model.var[...], biased)
    model.eval()
    assert model.use_running_average


def test_the_mode_is_each_modules_own():
    module = tnn.Sequential(randomized(tnn.BatchNorm2d(3)), tnn.Conv2d(3, 3, 3), randomized(tnn.BatchNorm2d(3)))
    module[0].eval()
    check(module, 2, 3, 6, 5)


def test_embedding():
    model = check(randomized(tnn.Embedding(7, 3, padding_idx=2)), x=torch.tensor([[0, 6, 2], [2, 3, 3]]), moved=False)
    assert isinstance(model, nnx.Embed)


@pytest.mark.parametrize("bias", [True, False])
def test_lstm_cell(bias):
    module = randomized(tnn.LSTMCell(3, 4, bias=bias))
    x, h, c = torch.randn(2, 3), torch.randn(2, 4), torch.randn(2, 4)
    (ours_c, ours_h), out = from_torch(module)((c.numpy(), h.numpy()), x.numpy())
    wanted_h, wanted_c = module(x, (h, c))
    agree(ours_c, wanted_c)
    agree(ours_h, wanted_h)
    agree(out, wanted_h)


@pytest.mark.parametrize("bias", [True, False])
def test_gru_cell(bias):
    module = randomized(tnn.GRUCell(3, 4, bias=bias))
    check_gru_cell(module, jax_tconv.nnx.GRUCell if bias else nnx.GRUCell)
    if bias:
        with torch.no_grad():
            module.bias_hh[8:] = 0
        check_gru_cell(module, nnx.GRUCell)


def check_gru_cell(module, kind):
    assert type(from_torch(module)) is kind
    x, h = torch.randn(2, 3), torch.randn(2, 4)
    carry, out = from_torch(module)(h.numpy(), x.numpy())
    agree(carry, module(x, h))
    agree(out, module(x, h))


RECURRENT = [
    {"batch_first": True},
    {"num_layers": 3},
    {"bidirectional": True, "bias": False, "batch_first": True},
    {"num_layers": 2, "bidirectional": True, "dropout": 0.5},
    {"num_layers": 2, "bias": False},
]


@pytest.mark.parametrize("arguments", RECURRENT)
@pytest.mark.parametrize("cls", [tnn.LSTM, tnn.GRU])
def test_recurrent_layers(cls, arguments):
    module = randomized(cls(3, 4, **arguments)).eval()
    model = from_torch(module)
    for shape in ((5, 2, 3), (2, 7, 3)):
        x = torch.randn(*shape)
        agree(run(model, x.numpy()), module(x)[0])


def test_dropout_between_recurrent_layers():
    module = randomized(tnn.LSTM(3, 4, num_layers=2, dropout=0.5, batch_first=True))
    x, model = torch.randn(2, 5, 3).numpy(), from_torch(module)
    assert (model(x) != model(x)).any()
    model.eval()
    agree(model(x), module.eval()(torch.tensor(x))[0])


@pytest.mark.parametrize("arguments", [{}, {"bias": False}, {"kdim": 5, "vdim": 5}, {"dropout": 0.4}])
def test_attention(arguments):
    module = randomized(tnn.MultiheadAttention(6, 3, batch_first=True, **arguments)).eval()
    model = from_torch(module)
    q, k = torch.randn(2, 4, 6), torch.randn(2, 5, module.kdim)
    agree(model(q.numpy(), k.numpy()), module(q, k, k)[0])
    if module.kdim == 6:
        v = torch.randn(2, 5, 6)
        agree(model(q.numpy(), k.numpy(), v.numpy()), module(q, k, v)[0])


def test_attention_drops_weights_in_training_only():
    module = randomized(tnn.MultiheadAttention(6, 3, dropout=0.5, batch_first=True))
    x, model = torch.randn(1, 4, 6).expand(2, -1, -1).numpy(), from_torch(module)
    assert (model(x) != model(x)).any()
    first, second = model(x)
    assert (first != second).any()  # each example has its own choice, as in torch
    model.eval()
    agree(model(x), module.eval()(*[torch.tensor(x)] * 3)[0])


ACTIVATIONS = [
    tnn.ReLU(),
    tnn.ReLU(inplace=True),
    tnn.ReLU6(),
    tnn.LeakyReLU(),
    tnn.LeakyReLU(0.3),
    tnn.ELU(),
    tnn.ELU(alpha=0.7),
    tnn.CELU(),
    tnn.CELU(alpha=2.5),
    tnn.SELU(),
    tnn.GELU(),
    tnn.GELU(approximate="tanh"),
    tnn.SiLU(),
    tnn.Mish(),
    tnn.Hardtanh(),
    tnn.Hardtanh(-2, 0.5),
    tnn.Hardswish(),
    tnn.Hardsigmoid(),
    tnn.Sigmoid(),
    tnn.LogSigmoid(),
    tnn.Tanh(),
    tnn.Softplus(),
    tnn.Softplus(beta=3, threshold=2),
    tnn.Softsign(),
    tnn.Hardshrink(),
    tnn.Hardshrink(2.5),
    tnn.Softshrink(),
    tnn.Softshrink(1.5),
    tnn.Tanhshrink(),
    tnn.PReLU(),
    tnn.PReLU(init=-0.4),
    tnn.Identity(),
    tnn.Dropout(0.5).eval(),
]


@pytest.mark.parametrize("module", ACTIVATIONS, ids=str)
def test_activations(module):
    x = torch.linspace(-30, 30, 1201).reshape(1, -1)
    model = from_torch(module)
    ours = model(x.numpy())
    np.testing.assert_allclose(ours, module(x).detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("module", "moved", "moved_out"),
    [
        (tnn.Sequential(tnn.Conv2d(3, 4, 2), tnn.Softmax(1)), True, True),
        (tnn.Sequential(tnn.Conv2d(3, 4, 2), tnn.LogSoftmax(-3)), True, True),
        (tnn.Sequential(tnn.Conv2d(3, 4, 2), tnn.Softmin(1)), True, True),
        (tnn.Sequential(tnn.Conv2d(3, 4, 2), tnn.GLU(1)), True, True),
        (tnn.Sequential(tnn.Linear(6, 4), tnn.GLU()), False, False),
        (tnn.Sequential(tnn.ReLU(), tnn.Softmax(1)), True, True),
        (tnn.Sequential(tnn.Conv2d(3, 4, 2), tnn.Flatten(), tnn.LogSoftmax(-1)), True, False),
        (tnn.Sequential(tnn.Linear(6, 5), tnn.Softmax(1)), False, False),
        (tnn.Sequential(tnn.Linear(6, 5), tnn.Softmax(-1), tnn.LayerNorm(5)), False, False),
    ],
)
def test_softmax_over_the_axis_that_torch_means(module, moved, moved_out):
    check(module, 2, 3, 5, 6, moved=moved, moved_out=moved_out)


@pytest.mark.parametrize("spatial", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "value"), [("Zero", ()), ("Constant", (1.5,)), ("Reflection", ()), ("Replication", ()), ("Circular", ())]
)
def test_padding(kind, value, spatial):
    cls = getattr(tnn, f"{kind}Pad{spatial}d")
    for padding in ((1, 2, 0, 3, 2, 1)[: 2 * spatial], 2):
        check(tnn.Sequential(cls(padding, *value)), *(2, 3, 4, 5, 6)[: 2 + spatial])


def test_a_padding_before_expresses_what_the_convolution_cannot():
    module = tnn.Sequential(tnn.ReplicationPad2d(2), tnn.Conv2d(3, 4, 3), tnn.CircularPad2d((2, 1, 0, 1)))
    check(module, 2, 3, 5, 6)


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5), (2, 2, 3, 4, 5)])
def test_flatten_keeps_torchs_order(shape):
    conv = (tnn.Conv1d, tnn.Conv2d, tnn.Conv3d)[len(shape) - 3](shape[1], 3, 2)
    features = conv(torch.zeros(shape)).flatten(1).shape[1]
    check(tnn.Sequential(conv, tnn.Flatten(), tnn.Linear(features, 4)), *shape, moved_out=False)
    # With nothing before it, the input is channels last, as that of every twin.
    check(tnn.Sequential(tnn.Flatten(), tnn.Linear(int(np.prod(shape[1:])), 4)), *shape, moved_out=False)


def test_flatten_after_layers_that_leave_the_axes():
    check(tnn.Sequential(tnn.Linear(5, 3), tnn.Flatten(), tnn.Linear(12, 2)), 2, 4, 5, moved=False)
    check(tnn.Sequential(tnn.Embedding(9, 3), tnn.Flatten()), x=torch.tensor([[1, 8, 3, 3]]), moved=False)


@pytest.mark.parametrize("sizes", [(6, 8), (6, 4, 2), (6, 2, 2, 2), (6, -1, 4)])
def test_unflatten_makes_maps(sizes):
    spatial = len(sizes) - 1
    conv = (tnn.ConvTranspose1d, tnn.ConvTranspose2d, tnn.ConvTranspose3d)[spatial - 1]
    module = tnn.Sequential(tnn.Linear(5, 48), tnn.Unflatten(1, sizes), conv(6, 2, 3, stride=2))
    check(module, 2, 5, moved=False, moved_out=True)


def test_layers_that_agree_on_vectors():
    check(tnn.Sequential(tnn.BatchNorm1d(4), tnn.Linear(4, 6), tnn.GroupNorm(2, 6), tnn.LayerNorm(6)), 5, 4)


def test_dropout_in_training():
    model = from_torch(tnn.Sequential(tnn.Dropout(0.25), tnn.Identity(), tnn.Dropout(0.25)))
    first, second = (np.asarray(model.layers[n](jnp.ones((100, 100)))) for n in (0, 2))
    assert set(np.unique(first)) == {0, np.float32(1 / 0.75)}
    assert abs((first == 0).mean() - 0.25) < 0.03  # seven standard deviations
    assert (first != second).any()
    again = from_torch(tnn.Dropout(0.25), rngs=nnx.Rngs(1))(jnp.ones((100, 100)))
    assert (again != first).any()
    model.eval()
    assert (model(jnp.ones((3, 3))) == 1).all()


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_dropout_of_whole_maps(spatial):
    module = getattr(tnn, f"Dropout{spatial}d")(0.5)
    y = np.asarray(from_torch(module)(jnp.ones((8, *(2, 3, 4)[:spatial], 50)))).reshape(8, -1, 50)
    assert (y == y[:, :1]).all()
    assert set(np.unique(y)) == {0, 2}
    assert len(np.unique(y[:, 0], axis=0)) == 8


class Conv(tnn.Conv2d):
    """A subclass that only sets arguments, as many repositories have it."""

    def __init__(self, channels):
        super().__init__(channels, channels, 3, padding=1)

    def reset_parameters(self):
        tnn.init.orthogonal_(self.weight)
        tnn.init.zeros_(self.bias)


class Block(tnn.Sequential):
    def __init__(self):
        super().__init__(OrderedDict(conv=Conv(3), norm=tnn.InstanceNorm2d(3, affine=True), act=tnn.PReLU()))


def test_nested_and_named_modules():
    module = tnn.Sequential(
        OrderedDict(
            encode=Block(),
            middle=tnn.Sequential(tnn.Sequential(), Block(), tnn.Sequential(tnn.Sequential(tnn.BatchNorm2d(3)))),
            decode=tnn.ConvTranspose2d(3, 2, 4, 2, 1),
            act=tnn.Tanh(),
        )
    )
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    model = from_torch(module)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    x = torch.randn(2, 3, 5, 6)
    agree(run(model, maps(x).numpy()), maps(module(x)))
    graph, state = nnx.split(model)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    agree(nnx.merge(graph, state)(maps(x).numpy()), maps(module(x)))


def test_shared_modules_stay_shared():
    conv, block = tnn.Conv2d(3, 3, 3, padding=1), Block()
    model = check(tnn.Sequential(conv, tnn.ReLU(), conv, block, tnn.Sequential(conv, block)), 2, 3, 5, 6)
    layers = model.layers
    assert layers[0] is layers[2] is layers[4].layers[0]
    assert layers[3].layers[0] is layers[4].layers[1].layers[0]
    assert len(jax.tree.leaves(nnx.state(model, nnx.Param))) == 2 + 5


def test_a_dcgan_generator():
    def up(i, o, stride, padding):
        return [
            tnn.ConvTranspose2d(i, o, 4, stride, padding, bias=False),
            randomized(tnn.BatchNorm2d(o)),
            tnn.ReLU(True),
        ]

    module = tnn.Sequential(*up(10, 8, 1, 0), *up(8, 8, 2, 1), tnn.ConvTranspose2d(8, 3, 4, 2, 1), tnn.Tanh())
    check(module.eval(), 2, 10, 1, 1)


def with_norm(kind, layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the old ones are deprecated
        return {
            "old weight norm": torch.nn.utils.weight_norm,
            "new weight norm": torch.nn.utils.parametrizations.weight_norm,
            "old spectral norm": torch.nn.utils.spectral_norm,
            "new spectral norm": torch.nn.utils.parametrizations.spectral_norm,
        }[kind](layer)


@pytest.mark.parametrize("kind", ["old weight norm", "new weight norm", "old spectral norm", "new spectral norm"])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: tnn.ConvTranspose2d(4, 4, 4, 2, 1), (2, 4, 3, 5)),
        (lambda: tnn.Conv2d(4, 4, 4, bias=False), (2, 4, 5, 6)),
        (lambda: tnn.ConvTranspose1d(4, 6, 3, groups=2), (2, 4, 5)),
        (lambda: tnn.Linear(4, 4), (2, 4)),
    ],
)
def test_weight_norm_and_spectral_norm(kind, layer, shape):
    module = tnn.Sequential(with_norm(kind, layer()), tnn.ReLU())
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if name.endswith(("weight_g", "original0")):
                tensor *= 1.7  # torch's own `weight` is stale until the next call
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    from_torch(module)  # in training, where torch would move a spectral norm's vectors
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    check(module.eval(), *shape)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precisions(dtype):
    module = tnn.Sequential(tnn.Conv2d(3, 4, 3), randomized(tnn.BatchNorm2d(4)), tnn.PReLU(), tnn.GroupNorm(2, 4))
    model = from_torch(module.to(dtype).eval())
    assert {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(model))} == {str(dtype).removeprefix("torch.")}
    x = torch.randn(2, 3, 5, 6).to(dtype)
    y = model(jnp.asarray(maps(x).float().numpy(), str(dtype).removeprefix("torch.")))
    assert y.dtype.name == str(dtype).removeprefix("torch.")
    agree(y, maps(module(x)), 4 * torch.finfo(dtype).eps)


@pytest.mark.usefixtures("float64")
def test_float64():
    layers = [
        tnn.ConvTranspose2d(3, 4, 3),
        randomized(tnn.BatchNorm2d(4)),
        tnn.GELU(),
        tnn.InstanceNorm2d(4),
        tnn.Softplus(),
    ]
    for training in (False, True):
        module = tnn.Sequential(*layers).double().train(training)
        model, x = from_torch(module), torch.randn(2, 3, 5, 6, dtype=torch.float64)
        agree(model(maps(x).numpy()), maps(module(x)), 1e-13)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(model))} == {"float64"}
