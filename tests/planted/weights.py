"""Weights in the wrong layout or in the wrong layer: every shape fits."""

from collections.abc import Callable

import jax.numpy as jnp
import torch
from flax import linen as nn
from flax import nnx

import jax_tconv.nnx
from jax_tconv import interop
from tests.planted.fault import Fault, planted
from tests.planted.pair import (
    LinenNet,
    NnxNet,
    Pair,
    TorchNet,
    as_it_is,
    changed,
    images,
    linen_pair,
    nnx_pair,
    sequences,
)

FAULTS: list[Fault] = []


@planted(FAULTS, "up")
def nnx_kernel_flipped(wrong: bool) -> Pair:
    """As where the kernel of Flax's own ConvTranspose is taken over."""
    run = lambda net, x: net.head(net.up(net.stem(x)))
    original = TorchNet(
        run,
        stem=torch.nn.Conv2d(3, 4, 1),
        up=torch.nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1),
        head=torch.nn.Conv2d(4, 2, 1),
    )
    twin = lambda rngs: NnxNet(
        run,
        stem=nnx.Conv(3, 4, (1, 1), rngs=rngs),
        up=jax_tconv.nnx.ConvTranspose(4, 4, (3, 3), strides=2, padding=1, rngs=rngs),
        head=nnx.Conv(4, 2, (1, 1), rngs=rngs),
    )
    pair = nnx_pair(original, twin, images(2, 3, 4, 5))
    return changed(pair, up_kernel=lambda kernel: kernel[::-1, ::-1]) if wrong else pair


@planted(FAULTS, "mix")
def linen_input_and_output_channels_swapped(wrong: bool) -> Pair:
    run = lambda net, x: net.head(net.mix(net.stem(x)))
    original = TorchNet(
        run, stem=torch.nn.Linear(3, 4), mix=torch.nn.Linear(4, 4), head=torch.nn.Linear(4, 4, bias=False)
    )
    twin = LinenNet(run, lambda: {"stem": nn.Dense(4), "mix": nn.Dense(4), "head": nn.Dense(4, use_bias=False)})
    pair = linen_pair(original, twin, images(5, 3))
    return changed(pair, mix_kernel=jnp.transpose) if wrong else pair


def _classifier() -> tuple[torch.nn.Module, Callable[[nnx.Rngs], nnx.Module]]:
    """A second head beside the first, as Inception and GoogLeNet have one."""
    original = TorchNet(
        lambda net, x: (net.head(net.stem(x).mean((2, 3))), net.aux(net.stem(x))),
        stem=torch.nn.Conv2d(3, 4, 1),
        head=torch.nn.Linear(4, 5),
        aux=torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(4 * 2 * 3, 6), torch.nn.ReLU(), torch.nn.Linear(6, 5)
        ),
    )
    twin = lambda rngs: NnxNet(
        lambda net, x: (net.head(net.stem(x).mean((1, 2))), net.aux(net.stem(x))),
        stem=nnx.Conv(3, 4, (1, 1), rngs=rngs),
        head=nnx.Linear(4, 5, rngs=rngs),
        aux=nnx.Sequential(
            lambda x: x.reshape(len(x), -1), nnx.Linear(24, 6, rngs=rngs), nnx.relu, nnx.Linear(6, 5, rngs=rngs)
        ),
    )
    return original, twin


@planted(FAULTS, "aux.1", "aux.layers.1", says=("flatten", r"aux\.(layers\.)?1", r"2, ?3, ?4"))
def nnx_flatten_order(wrong: bool) -> Pair:
    """Loaded without `flatten=`: the verdict has to say what to pass."""
    original, twin = _classifier()
    return nnx_pair(original, twin, images(2, 3, 2, 3), loading={} if wrong else {"flatten": {"aux.1": (2, 3, 4)}})


def _blocks(run) -> tuple[torch.nn.Module, Callable[[nnx.Rngs], nnx.Module]]:
    original = TorchNet(
        run,
        blocks=torch.nn.Sequential(
            *(torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.ReLU()) for _ in range(3))
        ),
        head=torch.nn.ConvTranspose2d(4, 2, 2),
    )
    block = lambda rngs: nnx.Sequential(nnx.Conv(4, 4, (3, 3), padding=1, rngs=rngs), nnx.relu)
    twin = lambda rngs: NnxNet(
        run,
        blocks=nnx.Sequential(*(block(rngs) for _ in range(3))),
        head=jax_tconv.nnx.ConvTranspose(4, 2, (2, 2), rngs=rngs),
    )
    return original, twin


@planted(FAULTS, "blocks.1.0", "blocks.layers.1.layers.0", first=("blocks.1.0", "blocks.1"))
def nnx_blocks_of_a_sequential_swapped(wrong: bool) -> Pair:
    """The second block has the third's weights."""
    original, twin = _blocks(lambda net, x: net.head(net.blocks(x)))
    pair = nnx_pair(original, twin, images(2, 4, 4, 5))
    if wrong:
        tensors = original.state_dict()
        other = {"1": "2", "2": "1"}
        swapped = {
            ".".join((first, other.get(n, n), *rest)) if first == "blocks" else name: tensor
            for name, tensor in tensors.items()
            for first, n, *rest in [name.split(".")]
        }
        interop.load_state_dict(pair.twin, swapped)
    return pair


@planted(FAULTS, "net.3", "net.4")
def linen_sequential_index_shifted(wrong: bool) -> Pair:
    """The Tanh at `net.3` was lost, and `net.4` loaded under the number that it then has."""
    linear = torch.nn.Linear
    layers = torch.nn.Sequential(linear(3, 4), torch.nn.ReLU(), linear(4, 4), torch.nn.Tanh(), linear(4, 3))
    original = TorchNet(lambda net, x: net.net(3 * x), net=layers)
    between = [] if wrong else [nn.tanh]
    twin = LinenNet(
        lambda net, x: net.net(3 * x),
        lambda: {"net": nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(4), *between, nn.Dense(3)])},
    )
    rename = {"net.4.": "net.3."} if wrong else None
    return linen_pair(original, twin, images(5, 3), loading={"rename": rename}, options={"rename": rename})


@planted(FAULTS, "rnn")
def linen_lstm_gates_permuted(wrong: bool) -> Pair:
    """Input gate and forget gate exchanged, as between libraries that stack them in another order."""
    original = TorchNet(
        lambda net, x: net.head(net.rnn(x)[0]), rnn=torch.nn.LSTM(3, 4, batch_first=True), head=torch.nn.Linear(4, 2)
    )
    twin = LinenNet(lambda net, x: net.head(net.rnn(x)), lambda: {"rnn": nn.RNN(nn.LSTMCell(4)), "head": nn.Dense(2)})
    x = images(2, 5, 3)
    pair = linen_pair(original, twin, x, options=sequences(x), as_flax=as_it_is)
    if not wrong:
        return pair
    params = pair.twin.variables["params"]["rnn"]["cell"]
    gates = {"ii": "if", "if": "ii", "hi": "hf", "hf": "hi"}
    new = {f"{gate}_{name}": lambda _, v=value: v for to, gate in gates.items() for name, value in params[to].items()}
    return changed(pair, **new)


@planted(FAULTS, "rnn")
def linen_gru_kernel_doubled(wrong: bool) -> Pair:
    original = TorchNet(
        lambda net, x: net.head(net.rnn(x)[0]), rnn=torch.nn.GRU(3, 4, batch_first=True), head=torch.nn.Linear(4, 2)
    )
    twin = LinenNet(lambda net, x: net.head(net.rnn(x)), lambda: {"rnn": nn.RNN(nn.GRUCell(4)), "head": nn.Dense(2)})
    x = images(2, 5, 3)
    pair = linen_pair(original, twin, x, options=sequences(x), as_flax=as_it_is)
    return changed(pair, hz_kernel=lambda kernel: 2 * kernel) if wrong else pair


@planted(FAULTS, "head")
def linen_bias_left_out(wrong: bool) -> Pair:
    """Zero, as where a bias was not found and strictness was turned off."""
    run = lambda net, x: net.head(net.stem(x))
    original = TorchNet(run, stem=torch.nn.Conv1d(3, 4, 1), head=torch.nn.Conv1d(4, 3, 3))
    twin = LinenNet(run, lambda: {"stem": nn.Conv(4, (1,)), "head": nn.Conv(3, (3,), padding="VALID")})
    pair = linen_pair(original, twin, images(2, 3, 5))
    return changed(pair, head_bias=jnp.zeros_like) if wrong else pair
