"""`inspect` names a layer only where torch has no other with these tensors; torch is asked, by making all it has."""

import copy
import functools
import inspect
import itertools
import random

import pytest

torch = pytest.importorskip("torch")

from jax_tconv.cli.guess import UNKNOWN, guess_layers  # noqa: E402
from jax_tconv.interop._convert.parametrizations import fold  # noqa: E402
from jax_tconv.interop._convert.sources import Source  # noqa: E402
from jax_tconv.interop._tensors import to_numpy  # noqa: E402
from tests.networks import NETWORKS  # noqa: E402
from tests.networks.network import old_weight_norm  # noqa: E402

N = torch.nn
P = torch.nn.utils.parametrizations
SIZES, KERNEL = (1, 2, 3, 4), 2
EITHER = (False, True)
# What torch calls by several names, `inspect` calls by one.
NAMES = {f"{norm}{dims}d": norm for norm in ("BatchNorm", "InstanceNorm") for dims in (1, 2, 3)}
NAMES |= {"SyncBatchNorm": "BatchNorm"}
# They hold tensors, and are no layers: bases, and containers of anything.
NO_LAYERS = {"RNNBase", "RNNCellBase", "ParameterDict", "ParameterList"}


def every_layer():
    """Every layer of torch.nn that has tensors, with all arguments that change these, in small sizes."""
    for i, o, bias in itertools.product(SIZES, SIZES, EITHER):
        yield N.Linear(i, o, bias=bias)
        yield from (cell(i, o, bias=bias) for cell in (N.LSTMCell, N.GRUCell, N.RNNCell))
        yield from (N.Bilinear(i, j, o, bias=bias) for j in SIZES)
        for layers, both in itertools.product((1, 2), EITHER):
            options = {"num_layers": layers, "bidirectional": both, "bias": bias}
            yield from (rnn(i, o, **options) for rnn in (N.LSTM, N.GRU, N.RNN))
            yield from (N.LSTM(i, o, proj_size=size, **options) for size in range(1, o))
    for dims, i, o, groups, bias in itertools.product((1, 2, 3), SIZES, SIZES, SIZES, EITHER):
        if i % groups == o % groups == 0:
            for kernel in SIZES if dims == 1 else (KERNEL,):
                for conv in (getattr(N, f"Conv{dims}d"), getattr(N, f"ConvTranspose{dims}d")):
                    yield conv(i, o, kernel, groups=groups, bias=bias)
    for n in SIZES:
        yield N.PReLU(n)
        yield from (embedding(n, c) for embedding in (N.Embedding, N.EmbeddingBag) for c in SIZES)
        yield from (N.GroupNorm(groups, n, bias=bias) for groups in SIZES if n % groups == 0 for bias in EITHER)
        for name, affine, statistics in itertools.product(NAMES, EITHER, EITHER):
            norm = getattr(N, name)
            can_lack_bias = "bias" in inspect.signature(norm).parameters
            for options in [{"bias": False}, {"bias": True}] if can_lack_bias else [{}]:
                yield norm(n, affine=affine, track_running_stats=statistics, **options)
        for own, pairs, bias in itertools.product(SIZES, EITHER, EITHER):
            yield N.MultiheadAttention(n, 1, kdim=own, vdim=own, add_bias_kv=pairs, bias=bias)
    for rank in (1, 2, 3, 4, 5):
        axes = [SIZES] * rank if rank < 4 else [SIZES, SIZES, *[(KERNEL,)] * (rank - 2)]
        for shape in itertools.product(*axes):
            yield from (N.LayerNorm(shape), N.LayerNorm(shape, bias=False), N.RMSNorm(shape))


def own_tensors(module):
    """The names and shapes of the tensors that a module holds itself."""
    children = tuple(f"{name}." for name, _ in module.named_children())
    own = {name: tensor for name, tensor in module.state_dict().items() if not name.startswith(children or ("\0",))}
    return frozenset((name, tuple(tensor.shape)) for name, tensor in own.items())


@functools.cache
def made():
    """The layers, without values."""
    with torch.device("meta"):
        return [layer for layer in every_layer() if layer.state_dict()]


@functools.cache
def possible():
    """For all tensors that a layer can have, the kinds of those that have them."""
    kinds = {}
    for layer in made():
        name = type(layer).__name__
        kinds.setdefault(own_tensors(layer), set()).add(NAMES.get(name, name))
    return kinds


def kind_of(module):
    """What `inspect` may call a module; None for one that is no layer. Parametrized ones are subclasses."""
    known = set().union(*possible().values())
    names = (NAMES.get(cls.__name__, cls.__name__) for cls in type(module).__mro__)
    return next((name for name in names if name in known), None)


def layers_of(network):
    """The kinds of a network's layers that have tensors, by all their names."""
    modules = network.named_modules(remove_duplicate=False)
    return {name: kind_of(module) for name, module in modules if module.state_dict() and kind_of(module)}


def guesses_of(network):
    tensors = {name: to_numpy(name, tensor) for name, tensor in network.state_dict().items()}
    sources, _ = fold(tensors, {name: name for name in tensors}, ())
    return {guess.name: guess for guess in guess_layers(sources)}


def test_every_layer_is_tried():
    tried = {type(layer) for layer in made()}
    for name, cls in vars(N).items():
        if not inspect.isclass(cls) or not issubclass(cls, N.Module) or name.startswith("Lazy") or name in NO_LAYERS:
            continue
        code = "".join(inspect.getsource(base) for base in cls.__mro__ if base not in (N.Module, object))
        assert cls in tried or ("Parameter(" not in code and "register_parameter" not in code), name


def test_all_layers_that_fit_are_named_and_no_others():
    assert len(possible()) > 1000
    for tensors, kinds in possible().items():
        sources = {f"x.{name}": shaped(name, shape) for name, shape in tensors}
        (guess,) = guess_layers(sources)
        assert set(guess.kinds) == kinds, dict(tensors)
        assert guess.kind == (guess.kinds[0] if len(kinds) == 1 else f"not certain: {guess.kind[13:]}")
    certain = {next(iter(kinds)) for kinds in possible().values() if len(kinds) == 1}
    assert certain >= {"Linear", "LayerNorm", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "LSTM", "GRUCell"}


def shaped(name, shape):
    """A tensor of which only the shape matters."""
    return Source.plain(name, name, torch.empty(shape, device="meta"))


def test_names_of_torch_with_shapes_that_no_layer_has():
    rng = random.Random(0)
    names = ["weight", "bias", "running_mean", "running_var", "in_proj_weight", "q_proj_weight", "k_proj_weight"]
    names += ["v_proj_weight", "in_proj_bias", "weight_ih", "weight_hh", "weight_ih_l0", "weight_hh_l0", "weight_hr_l0"]
    for _ in range(20_000):
        tensors = {
            name: tuple(rng.choices((0, 1, 2, 3), k=rng.randrange(4))) for name in rng.sample(names, rng.randint(1, 3))
        }
        (guess,) = guess_layers({f"x.{name}": shaped(name, shape) for name, shape in tensors.items()})
        if tensors.keys() <= {"weight", "bias"} and all(0 not in shape for shape in tensors.values()):
            assert set(guess.kinds) == possible().get(frozenset(tensors.items()), set()), tensors


NORMS = [old_weight_norm, torch.nn.utils.spectral_norm, P.weight_norm, P.spectral_norm]


def some_network(seed):
    """Layers of all kinds under names of all kinds, in no order, some of them in two places, some with a norm."""
    rng = random.Random(seed)
    chosen = [copy.deepcopy(layer).to_empty(device="cpu") for layer in rng.sample(made(), 14)]
    for n, layer in enumerate(chosen):
        for parameter in layer.parameters():
            torch.nn.init.uniform_(parameter)
        matrix = isinstance(getattr(layer, "weight", None), N.Parameter) and layer.weight.ndim > 1
        if matrix and rng.random() < 0.4:
            chosen[n] = rng.choice(NORMS)(layer)
    inner = N.Sequential(*chosen[:4], N.ReLU(), N.BatchNorm2d(rng.choice(SIZES)))
    outer = {"down": inner, "norm": chosen[4], **{f"layer{n}": layer for n, layer in enumerate(chosen[5:])}}
    names = rng.sample(list(outer), len(outer))
    network = N.ModuleDict(
        {name: outer[name] for name in names} | {"again": chosen[-1], "list": N.ModuleList(chosen[3:6])}
    )
    network.register_parameter("constant", N.Parameter(torch.ones(1, 2, 2, 2)))
    return network


def published():
    """Whole networks, as they are made for use."""
    yield from (network.trained() for network in NETWORKS)
    yield N.Transformer(8, 2, 2, 2, 16, batch_first=True)
    yield N.TransformerDecoder(N.TransformerDecoderLayer(4, 2, 8), 3, N.LayerNorm(4))
    yield N.TransformerDecoder(N.TransformerDecoderLayer(4, 2, 8, bias=False), 2)
    yield N.ModuleDict(
        {
            "speech": N.Sequential(N.Conv1d(4, 8, 3), N.BatchNorm1d(8), N.LSTM(8, 6, 2, bidirectional=True)),
            "text": N.Sequential(N.Embedding(9, 8), N.GRU(8, 5, 3), N.Linear(5, 9)),
            "loss": N.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 9], div_value=2, head_bias=True),
        }
    )


@pytest.mark.parametrize("part", ["published", "made"])
def test_networks(part):
    count, certain = 0, 0
    for network in published() if part == "published" else map(some_network, range(40)):
        guesses = guesses_of(network)
        for name, kind in layers_of(network).items():
            count += 1
            certain += guesses[name].kinds == (kind,)
            assert kind in guesses[name].kinds, (name, guesses[name])
        for name in guesses.keys() - layers_of(network).keys():
            assert guesses[name].kind == UNKNOWN or name == ""
    assert count >= 150
    assert certain > count / 8


# Wrong in networks that are published, once: by a bias's length, by a weight's axes, and by what is listed next.
CASES = {
    "ConvTranspose2d, groups": N.ConvTranspose2d(8, 8, 4, groups=8),
    "ConvTranspose2d, 2 groups": N.ConvTranspose2d(8, 8, 4, groups=2),
    "LayerNorm over two axes": N.LayerNorm((4, 4)),
    "LayerNorm over a map": N.LayerNorm((4, 8, 8)),
    "Conv2d, then the norm of a concatenation": N.Sequential(N.Conv2d(4, 8, 3, bias=False), N.BatchNorm2d(12)),
}


@pytest.mark.parametrize("name", CASES)
def test_what_was_named_wrongly(name):
    for layer, kind in layers_of(CASES[name]).items():
        assert kind in guesses_of(CASES[name])[layer].kinds
