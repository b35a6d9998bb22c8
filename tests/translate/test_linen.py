"""linen output: torch's values, weights by their names, training, and what linen cannot have."""

import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import traverse_util
from torch.nn import functional as F

from jax_tconv import interop
from tests.networks.cyclegan import CYCLEGAN
from tests.networks.dcgan import DCGAN
from tests.networks.decoder import DECODER, DECODER_OLD
from tests.networks.unet import UNET
from tests.networks.unet3d import UNET3D
from tests.networks.vocoder import VOCODER, VOCODER_OLD
from tests.translate.check import RELATIVE, arguments, compare, translated

tnn = torch.nn
MAPS, SEQUENCES = torch.randn(2, 3, 8, 6), torch.randn(2, 5, 8)


def check(module, *inputs):
    """Translates a module to linen, loads it and judges its values; gives the source, what makes it, and variables."""
    module.eval()
    source, network = translated(module, *inputs, linen=True)
    assert "nnx" not in source
    make = executed(source)
    given = arguments(network, inputs)
    variables, _ = interop.linen_variables(make(), module.state_dict(), *given)
    with torch.no_grad():
        wanted = module(*inputs)
    with jax.default_matmul_precision("highest"):
        found = make().apply(variables, *given)
    compare(found, wanted, network.root.body.orders, RELATIVE)
    found = interop.verify(module, make().bind(variables), *inputs, flax_inputs=tuple(given), axes=axes(network))
    assert found.ok, found
    return source, make, variables, given


def executed(source):
    """What makes the model: the last class or function of the file."""
    space = types.ModuleType("translated")
    exec(compile(source, "translated.py", "exec"), space.__dict__)
    return [one for one in vars(space).values() if getattr(one, "__module__", "") == "translated"][-1]


def axes(network):
    from jax_tconv.interop._translate.writing import _axes

    return _axes(network)


def trained(module, *inputs):
    """The module after two calls in training, so that its running statistics are none that it begins with."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        module.train()(*inputs)
        module(*inputs)
    return module.eval()


NETWORKS = [CYCLEGAN, DCGAN, DECODER, DECODER_OLD, UNET, UNET3D, VOCODER, VOCODER_OLD]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: one.name)
def test_networks(network):
    source, *_ = check(network.trained(), network.inputs())
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=120", "--select=E,F,I,W,UP,B", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


class Attention(tnn.Module):
    def __init__(self):
        super().__init__()
        self.embed = tnn.Embedding(11, 8)
        self.position = tnn.Parameter(torch.randn(1, 6, 8))
        self.attention = tnn.MultiheadAttention(8, 2, 0.1, batch_first=True)
        self.norm, self.drop = tnn.LayerNorm(8), tnn.Dropout(0.2)
        self.register_buffer("scale", torch.full((8,), 0.5))
        self.register_buffer("mask", torch.ones(6, 6).triu(1).bool())

    def forward(self, x):
        x = self.embed(x) + self.position
        y, _ = self.attention(x, x, x, attn_mask=self.mask, need_weights=False)
        x = self.norm(x + self.drop(y)) * self.scale
        return F.linear(x, self.embed.weight)


class Recurrent(tnn.Module):
    def __init__(self, kind, **arguments):
        super().__init__()
        self.layer = getattr(tnn, kind)(8, 6, batch_first=True, **arguments)
        self.head = tnn.Linear(6 * (1 + self.layer.bidirectional), 3)

    def forward(self, x):
        y, last = self.layer(x)
        return self.head(y), last[0][-1]


class Block(tnn.Module):
    def __init__(self, channels, features, size=3):
        super().__init__()
        self.conv = tnn.Conv2d(channels, features, size, padding=size // 2)
        self.norm = tnn.BatchNorm2d(features)
        self.gamma = tnn.Parameter(torch.full((features, 1, 1), 0.5))

    def forward(self, x):
        return F.relu(self.norm(self.conv(x))) * self.gamma


class Containers(tnn.Module):
    """Lists, dicts and Sequentials of layers and of classes with arguments; several outputs."""

    def __init__(self):
        super().__init__()
        self.blocks = tnn.ModuleList([Block(3, 4), Block(4, 4), Block(4, 4, 5)])
        self.by_name = tnn.ModuleDict({"a": tnn.Conv2d(4, 4, 1), "1": tnn.ModuleList([tnn.Conv2d(4, 4, 1)])})
        self.chain = tnn.Sequential(tnn.Conv2d(4, 4, 3), tnn.Dropout2d(0.1), tnn.PReLU(4), tnn.GroupNorm(2, 4))
        self.drop, self.head = tnn.Dropout(0.3), tnn.Linear(4, 2)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        x = self.chain(self.by_name["a"](x) + self.by_name["1"][0](x)).mean((2, 3))
        return {"logits": self.head(self.drop(x)), "features": (x, x * 2)}


class Norms(tnn.Module):
    def __init__(self):
        super().__init__()
        self.up = tnn.ConvTranspose2d(3, 4, 3, stride=2)
        self.layer_norm, self.instance_norm = tnn.LayerNorm((4, 17, 13)), tnn.InstanceNorm2d(4, affine=True)
        self.last = tnn.RMSNorm(13, eps=1e-6)

    def forward(self, x):
        return self.last(self.instance_norm(self.layer_norm(self.up(x))))


class Chain(tnn.Sequential):
    pass


class Chains(tnn.Module):
    def __init__(self):
        super().__init__()
        self.first = Chain(tnn.Conv2d(3, 4, 1), tnn.BatchNorm2d(4), tnn.ReLU())
        self.second = Chain(tnn.Conv2d(4, 5, 1), tnn.BatchNorm2d(5), tnn.ReLU())
        self.nothing = Chain()

    def forward(self, x):
        return self.nothing(self.second(self.first(x)))


class Arrays(tnn.Module):
    """Parameters and buffers of every kind."""

    def __init__(self):
        super().__init__()
        self.weight, self.zeros = tnn.Parameter(torch.randn(8, 8)), tnn.Parameter(torch.zeros(8))
        self.register_buffer("steps", torch.tensor(3))
        self.register_buffer("table", torch.randn(5, 8))
        self.register_buffer("halves", torch.full((8,), 0.5, dtype=torch.float16))

    def forward(self, x):
        return x @ self.weight * self.steps + self.table * self.halves.float() + self.zeros


# What makes each, its input, and which of its layers follow the mode.
CASES = {
    "attention": (Attention, torch.randint(11, (2, 6)), {"Dropout"}),
    "encoder": (lambda: tnn.TransformerEncoderLayer(8, 2, 16, batch_first=True), SEQUENCES, {"Dropout"}),
    "LSTM": (lambda: Recurrent("LSTM", num_layers=2, dropout=0.1), SEQUENCES, {"Dropout"}),
    "LSTM, both directions": (lambda: Recurrent("LSTM", bidirectional=True), SEQUENCES, set()),
    "GRU": (lambda: Recurrent("GRU"), SEQUENCES, set()),
    "containers": (Containers, MAPS, {"BatchNorm", "Dropout"}),
    "norms": (Norms, MAPS, set()),
    "chains": (Chains, MAPS, {"BatchNorm"}),
    "a chain": (
        lambda: tnn.Sequential(tnn.ConvTranspose2d(3, 4, 2, stride=2), tnn.BatchNorm2d(4), tnn.ReLU()),
        MAPS,
        {"BatchNorm"},
    ),
    "arrays": (Arrays, SEQUENCES, set()),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values_and_training(case):
    """In training, BatchNorm takes the batch's statistics and adds them to its own, and Dropout drops."""
    make, x, modes = case
    module = trained(make(), x)
    source, make, variables, given = check(module, x)
    assert ("train: bool = False" in source) == bool(modes)
    if not modes:
        return
    model = make(train=True)

    @jax.jit
    def step(variables, key):
        def loss(params):
            out, updates = model.apply(
                {**variables, "params": params}, *given, mutable=["batch_stats"], rngs={"dropout": key}
            )
            return sum(jnp.sum(one**2) for one in jax.tree.leaves(out)), updates

        (value, updates), gradients = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        params = jax.tree.map(lambda p, g: p - 1e-3 * g, variables["params"], gradients)
        return {**variables, "params": params, **updates}, value

    first, value = step(variables, jax.random.key(0))
    _, other = step(variables, jax.random.key(1))
    assert jax.tree.structure(first) == jax.tree.structure(variables)
    assert ("Dropout" in modes) == (float(value) != float(other))
    old, new = (traverse_util.flatten_dict(tree.get("batch_stats", {})) for tree in (variables, first))
    moved = {path[-1] for path in old if (old[path] != new[path]).any()}
    assert moved == ({"mean", "var"} if "BatchNorm" in modes else set())


def test_running_statistics_are_torchs():
    """Flax adds the biased variance, torch the unbiased one; everything else of a call in training is the same."""
    module = trained(Chains(), MAPS)
    _, make, variables, given = check(module, MAPS)
    with jax.default_matmul_precision("highest"):
        found, updates = make(train=True).apply(variables, *given, mutable=["batch_stats"])
    with torch.no_grad():
        wanted = module.train()(MAPS)
    np.testing.assert_allclose(found, wanted.numpy().transpose(0, 2, 3, 1), rtol=0, atol=1e-5)
    mean = updates["batch_stats"]["second"]["layers_1"]["mean"]
    np.testing.assert_allclose(mean, module.second[1].running_mean.numpy(), rtol=0, atol=1e-6)


# What the source looks like


def test_channels_are_read_off_the_inputs_and_arguments_without_use_are_gone():
    source, *_ = check(Containers(), MAPS)
    assert "nn.Conv(4, self.kernel_size, padding=self.padding)" in source
    assert source.count("class Block") == 1
    assert "channels" not in source
    assert "in_features" not in source


def test_what_is_said_of_training():
    source, *_ = check(Containers(), MAPS)
    words = """`Containers(train=True)` is for training, applied with `mutable=["batch_stats"]` and `rngs="""
    assert words in source
    assert "for training" not in check(Arrays(), SEQUENCES)[0]


class Deep(tnn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner, self.act = inner, tnn.ReLU()

    def forward(self, x):
        return self.act(self.inner(x))


class Shared(tnn.Module):
    """One layer by four names: its own, another, in a Sequential, and in classes within one another."""

    def __init__(self):
        super().__init__()
        self.layer = tnn.Linear(8, 8)
        self.again = self.layer
        self.chain = tnn.Sequential(tnn.Tanh(), self.layer)
        self.deep = Deep(Deep(self.layer))

    def forward(self, x):
        return self.deep(self.chain(self.again(self.layer(x))))


def test_one_module_at_several_places():
    source, make, variables, given = check(Shared(), SEQUENCES)
    assert source.count("nn.Dense") == 1
    assert source.count("class Deep") == 1
    assert "self.deep = Deep(inner=Deep(inner=self.layer))" in source
    exported = interop.linen_state_dict(make(), variables, *given)
    assert exported.keys() == Shared().state_dict().keys()


class Idle(tnn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = tnn.Linear(8, 8), tnn.Linear(8, 2)
        self.blocks = tnn.ModuleList([tnn.Linear(8, 8), tnn.Linear(8, 8)])
        self.other = Block(3, 4)

    def forward(self, x):
        return self.blocks[0](self.layer(x))


def test_what_nobody_calls_is_left_out():
    source, make, variables, given = check(Idle(), SEQUENCES)
    assert 'torch_only = ("head", "blocks.1", "other")' in source
    assert "Block" not in source
    state_dict = Idle().state_dict()
    assert list(interop.linen_state_dict(make(), variables, *given, like=state_dict)) == list(state_dict)


# What linen cannot have


class Reads(tnn.Module):
    def __init__(self):
        super().__init__()
        self.layer = tnn.Linear(8, 8)

    def forward(self, x):
        return self.layer(x) + F.linear(x, self.layer.weight * 2)


class Named(tnn.Module):
    def __init__(self):
        super().__init__()
        self.path = tnn.Linear(8, 8)

    def forward(self, x):
        return self.path(x)


class Biased(tnn.Module):
    def __init__(self):
        super().__init__()
        self.attention = tnn.MultiheadAttention(8, 2, batch_first=True)
        self.bias = tnn.Parameter(torch.randn(5, 5))

    def forward(self, x):
        return self.attention(x, x, x, attn_mask=self.bias, need_weights=False)[0]


class Again(tnn.Module):
    def __init__(self):
        super().__init__()
        layer = tnn.Linear(8, 8)
        self.layers = tnn.ModuleList([layer, layer])

    def forward(self, x):
        return self.layers[1](self.layers[0](x))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Reads, "it uses the kernel of a Linear, which linen has only while that is called"),
        (Named, "its path has the name of a part of every linen module"),
        (Biased, "it adds numbers to the scores of its attention"),
        (Again, "modules in it share a part in a way that linen has not"),
    ],
)
def test_what_linen_cannot_have(module, words):
    interop.translate(module(), SEQUENCES)
    with pytest.raises(interop.TranslationError, match=words) as caught:
        interop.translate(module(), SEQUENCES, linen=True)
    assert "nnx" in str(caught.value)
