"""Correct twins whose shapes confuse: sizes that agree by chance, axes in another order, outputs of every form.

What the twin is, is what a user would write; where torch's axes and Flax's can be told apart by nothing but the types
of the layers, the comment at the pair says what follows from them.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
from flax import linen as nn
from flax import nnx

import jax_tconv
import jax_tconv.linen
import jax_tconv.nnx
from tests.planted.fault import CORRECT
from tests.planted.pair import LinenNet, NnxNet, Pair, TorchNet, as_it_is, images, linen_pair, nnx_pair, sequences

Make = Callable[[], Pair]
CORRECT_PAIRS: list[Make] = []


def correct_in(table: list[Make]) -> Callable[[Make], Make]:
    """Adds the decorated function to the table, made once: `verify` leaves it as it was."""

    def add(make: Make) -> Make:
        @functools.cache
        @functools.wraps(make)
        def seeded() -> Pair:
            torch.manual_seed(0)
            return make()

        table.append(seeded)
        return make

    return add


def check_correct(pair: Pair) -> None:
    """Asserts, without `verify`, that the twin is correct."""
    assert pair.difference() < CORRECT


@correct_in(CORRECT_PAIRS)
def nnx_sequences_as_long_as_their_features() -> Pair:
    # A Linear has its features last in both. Sequences are no images, so `flax_inputs` says how Flax gets them.
    run = lambda net, x: net.second(net.norm(abs(net.first(x))))
    original = TorchNet(run, first=torch.nn.Linear(8, 8), norm=torch.nn.LayerNorm(8), second=torch.nn.Linear(8, 8))
    twin = lambda rngs: NnxNet(
        run,
        first=nnx.Linear(8, 8, rngs=rngs),
        norm=nnx.LayerNorm(8, epsilon=1e-5, rngs=rngs),
        second=nnx.Linear(8, 8, rngs=rngs),
    )
    x = images(2, 8, 8)
    return nnx_pair(original, twin, x, options=sequences(x), as_flax=as_it_is)


@correct_in(CORRECT_PAIRS)
def nnx_linear_over_the_last_axis_of_a_map() -> Pair:
    # Batch, channels, rows and columns are all four. Flax has to put the columns last for the Linear, as they are in
    # torch, and gives it torch's own order of axes; the layers around it are convolutions, with channels last.
    original = TorchNet(
        lambda net, x: net.up(net.mix(net.stem(x))),
        stem=torch.nn.Conv2d(4, 4, 3, padding=1),
        mix=torch.nn.Linear(4, 4),
        up=torch.nn.ConvTranspose2d(4, 4, 3, padding=1),
    )
    twin = lambda rngs: NnxNet(
        lambda net, x: net.up(jnp.moveaxis(net.mix(jnp.moveaxis(net.stem(x), -1, 1)), 1, -1)),
        stem=nnx.Conv(4, 4, (3, 3), padding=1, rngs=rngs),
        mix=nnx.Linear(4, 4, rngs=rngs),
        up=jax_tconv.nnx.ConvTranspose(4, 4, (3, 3), padding=1, rngs=rngs),
    )
    return nnx_pair(original, twin, images(4, 4, 4, 4))


def of_two_directions(name: str) -> str:
    """torch's one bidirectional layer as two of Flax."""
    if name.endswith("_reverse"):
        return name.removesuffix("_reverse").replace("rnn.", "backward.")
    return name.replace("rnn.", "forward.")


@correct_in(CORRECT_PAIRS)
def nnx_bidirectional_rnn_as_two() -> Pair:
    # torch's `rnn` gives the features of both directions, which no layer of Flax's does: there is nothing to compare it
    # with but what comes after. The sequence is as long as the batch, and as the features of each direction.
    original = TorchNet(
        lambda net, x: net.head(net.rnn(x)[0]),
        rnn=torch.nn.LSTM(3, 4, batch_first=True, bidirectional=True),
        head=torch.nn.Linear(8, 4),
    )
    twin = lambda rngs: NnxNet(
        lambda net, x: net.head(jnp.concatenate([net.forward(x), net.backward(x)], axis=-1)),
        forward=nnx.RNN(nnx.OptimizedLSTMCell(3, 4, rngs=rngs), rngs=rngs),
        backward=nnx.RNN(nnx.OptimizedLSTMCell(3, 4, rngs=rngs), reverse=True, keep_order=True, rngs=rngs),
        head=nnx.Linear(8, 4, rngs=rngs),
    )
    x, rename = images(4, 4, 3), {"rename": of_two_directions}
    return nnx_pair(original, twin, x, loading=rename, options=sequences(x) | rename, as_flax=as_it_is)


class WithModules(torch.nn.Module):
    """`modules` is a list of torch's networks of the kind that builds them in a loop; it hides the method."""

    def __init__(self):
        super().__init__()
        self.modules = []
        for n in range(2):
            layer = torch.nn.Conv2d(4, 4, 3, padding=1)
            self.modules.append(layer)
            self.add_module(f"conv{n}", layer)

    def forward(self, x):
        maps = [x]
        for layer in self.modules:
            maps.append(torch.relu(layer(maps[-1])))
        return {"maps": maps[1:], "mean": maps[-1].mean((2, 3)), "size": (maps[-1].sum(), maps[-1].amax((1, 2)))}


@correct_in(CORRECT_PAIRS)
def nnx_nested_outputs_of_a_torch_module_with_modules() -> Pair:
    # Four channels of four rows and columns. The maps are images, as in torch; what has two axes stays.
    original = WithModules()

    def run(net, x):
        first = nnx.relu(net.conv0(x))
        second = nnx.relu(net.conv1(first))
        # Torch takes the largest over channels and rows.
        sizes = (second.sum(), second.max(axis=(1, 3)))
        return {"maps": [first, second], "mean": second.mean((1, 2)), "size": sizes}

    twin = lambda rngs: NnxNet(run, **{f"conv{n}": nnx.Conv(4, 4, (3, 3), padding=1, rngs=rngs) for n in range(2)})
    return nnx_pair(original, twin, images(4, 4, 4, 4))


@correct_in(CORRECT_PAIRS)
def nnx_flatten_of_a_square_map() -> Pair:
    # Three channels of three rows and columns: any order of them fits the weight, `flatten=` says which it is.
    original = TorchNet(
        lambda net, x: net.head(net.flat(torch.relu(net.stem(x)))),
        stem=torch.nn.Conv2d(3, 3, 3, padding=1),
        flat=torch.nn.Flatten(),
        head=torch.nn.Linear(27, 9),
    )
    twin = lambda rngs: NnxNet(
        lambda net, x: net.head(nnx.relu(net.stem(x)).reshape(len(x), -1)),
        stem=nnx.Conv(3, 3, (3, 3), padding=1, rngs=rngs),
        head=nnx.Linear(27, 9, rngs=rngs),
    )
    flatten = {"flatten": {"head": (3, 3, 3)}}
    return nnx_pair(original, twin, images(3, 3, 3, 3), loading=flatten, options=flatten)


@correct_in(CORRECT_PAIRS)
def nnx_decoder_2d_with_groups_and_output_padding() -> Pair:
    original = TorchNet(
        lambda net, x: torch.tanh(net.two(torch.relu(net.norm(net.one(x))))),
        one=torch.nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
        norm=torch.nn.BatchNorm2d(4),
        two=torch.nn.ConvTranspose2d(4, 2, (3, 2), stride=(1, 2), padding=(1, 0), dilation=(1, 2)),
    )
    transposed = jax_tconv.nnx.ConvTranspose
    twin = lambda rngs: NnxNet(
        lambda net, x: jnp.tanh(net.two(nnx.relu(net.norm(net.one(x))))),
        one=transposed(4, 4, (3, 3), 2, padding=1, output_padding=1, feature_group_count=2, rngs=rngs),
        norm=nnx.BatchNorm(4, momentum=0.9, rngs=rngs),
        two=transposed(4, 2, (3, 2), (1, 2), padding=(1, 0), kernel_dilation=(1, 2), rngs=rngs),
    )
    return nnx_pair(original, twin, images(4, 4, 2, 2))


class Upsampling(nnx.Module):
    """A layer of the user's own, with its channels where torch has them."""

    def __init__(self):
        self.kernel = nnx.Param(jnp.zeros((2, 2, 4, 4)))
        self.bias = nnx.Param(jnp.zeros(4))

    def __call__(self, x: jax.Array) -> jax.Array:
        kernel, bias = self.kernel[...], self.bias[...]
        return jax_tconv.conv_transpose(x, kernel, bias, stride=2, data_format="channels_first")


@correct_in(CORRECT_PAIRS)
def nnx_channels_first() -> Pair:
    # The convention says that Flax has its channels last. That this model has them first, in a layer whose type is not
    # known and in the output, only its author can say: `axes=` is for that.
    original = TorchNet(lambda net, x: torch.relu(net.up(x)), up=torch.nn.ConvTranspose2d(4, 4, 2, stride=2))
    twin = NnxNet(lambda net, x: nnx.relu(net.up(x)), up=Upsampling())
    twin.up.kernel.set_value(jnp.asarray(original.up.weight.detach().permute(2, 3, 0, 1).numpy()))
    twin.up.bias.set_value(jnp.asarray(original.up.bias.detach().numpy()))
    x = images(4, 4, 4, 4)
    axes = {"axes": {"up": "b c h w -> b c h w", "(output)": "b c h w -> b c h w"}}
    return Pair(original, twin, (x,), options=sequences(x) | axes, as_flax=as_it_is)


@correct_in(CORRECT_PAIRS)
def linen_rnn_of_torchs_time_major_layout() -> Pair:
    # torch's `batch_first` is False unless said: (length, batch, features). Flax's RNN has the batch first unless told
    # `time_major`. Length, batch and features are four; the last step is the last of torch's first axis.
    original = TorchNet(lambda net, x: net.head(net.rnn(x)[0][-1]), rnn=torch.nn.LSTM(4, 4), head=torch.nn.Linear(4, 3))
    twin = LinenNet(
        lambda net, x: net.head(net.rnn(x)[:, -1]),
        lambda: {"rnn": nn.RNN(nn.OptimizedLSTMCell(4)), "head": nn.Dense(3)},
    )
    x = images(4, 4, 4)
    return linen_pair(original, twin, x, options=sequences(x.transpose(0, 1)))


@correct_in(CORRECT_PAIRS)
def linen_attention_over_as_many_words_as_features() -> Pair:
    # Indices are passed as they are, and an Embedding, attention and a Linear have their features last in both. All
    # sizes but that of the batch are eight.
    original = TorchNet(
        lambda net, x: (lambda y: net.head(y + net.attention(y, y, y)[0]))(net.words(x)),
        words=torch.nn.Embedding(8, 8),
        attention=torch.nn.MultiheadAttention(8, 2, batch_first=True),
        head=torch.nn.Linear(8, 8),
    )
    twin = LinenNet(
        lambda net, x: (lambda y: net.head(y + net.attention(y)))(net.words(x)),
        lambda: {
            "words": nn.Embed(8, 8),
            "attention": nn.MultiHeadDotProductAttention(2, qkv_features=8),
            "head": nn.Dense(8),
        },
    )
    return linen_pair(original, twin, torch.arange(16).reshape(2, 8) % 5, as_flax=as_it_is)


class WithChildren(torch.nn.Module):
    """`children` counts, and hides the method, which torch's own `eval` calls."""

    def __init__(self):
        super().__init__()
        self.children = 3
        self.parts = torch.nn.ModuleList([torch.nn.Conv1d(6, 6, 1, groups=n) for n in range(1, 4)])

    def forward(self, x):
        return tuple(part(x) for part in self.parts)


@correct_in(CORRECT_PAIRS)
def linen_several_outputs_of_a_torch_module_with_children() -> Pair:
    # As many rows as channels and as the batch.
    original = WithChildren()
    twin = LinenNet(
        lambda net, x: tuple(part(x) for part in net.parts),
        lambda: {"parts": [nn.Conv(6, (1,), feature_group_count=n) for n in range(1, 4)]},
    )
    return linen_pair(original, twin, images(6, 6, 6))


@correct_in(CORRECT_PAIRS)
def linen_shared_layer_between_instance_norms() -> Pair:
    # The same convolution twice, and torch's InstanceNorm with and without parameters; Flax's is without them if told.
    def run(relu):
        return lambda net, x: net.plain(net.conv(relu(net.norm(net.conv(x)))))

    original = TorchNet(
        run(torch.relu),
        conv=torch.nn.Conv2d(4, 4, 3, padding=1),
        norm=torch.nn.InstanceNorm2d(4, affine=True),
        plain=torch.nn.InstanceNorm2d(4),
    )
    twin = LinenNet(
        run(nn.relu),
        lambda: {
            "conv": nn.Conv(4, (3, 3), padding="SAME"),
            "norm": nn.InstanceNorm(epsilon=1e-5),
            "plain": nn.InstanceNorm(epsilon=1e-5, use_scale=False, use_bias=False),
        },
    )
    return linen_pair(original, twin, images(4, 4, 4, 4))


@correct_in(CORRECT_PAIRS)
def linen_decoder_3d_under_other_names() -> Pair:
    # Names that the two do not share: they are compared under the `rename` that the weights were loaded with.
    original = TorchNet(
        lambda net, x: net.model(x),
        model=torch.nn.Sequential(
            torch.nn.ConvTranspose3d(3, 6, 3, stride=(1, 2, 3), output_padding=(0, 1, 2), groups=3),
            torch.nn.LeakyReLU(0.2),
            torch.nn.ConvTranspose3d(6, 3, 2, padding=1, groups=3),
        ),
    )
    transposed = jax_tconv.linen.ConvTranspose
    twin = LinenNet(
        lambda net, x: net.narrow(nn.leaky_relu(net.wide(x), 0.2)),
        lambda: {
            "wide": transposed(6, (3, 3, 3), (1, 2, 3), output_padding=(0, 1, 2), feature_group_count=3),
            "narrow": transposed(3, (2, 2, 2), padding=1, feature_group_count=3),
        },
    )
    rename = {"rename": {"model.0": "wide", "model.2": "narrow"}}
    return linen_pair(original, twin, images(3, 3, 3, 3, 3), loading=rename, options=rename)
