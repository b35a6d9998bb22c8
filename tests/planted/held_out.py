"""A third of the faults and of the correct twins, kept aside: `make test-networks` runs them with the others.

Whoever changes `verify` leaves them out until the change is finished (`-k "not held_out"`), and reads them only after
that: what is mended by looking at these has no judge left.
"""

import jax
import torch
from flax import linen as nn
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx
from tests.planted.correct import Make, correct_in
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
PAIRS: list[Make] = []


@planted(FAULTS, "down", argument=("kernel_dilation", "dilation"))
def nnx_dilation_of_one_output_size(wrong: bool) -> Pair:
    run = lambda net, x: net.head(net.down(x))
    original = TorchNet(
        run, down=torch.nn.Conv1d(3, 4, 3, stride=3, padding=1, dilation=2), head=torch.nn.ConvTranspose1d(4, 2, 2)
    )
    twin = lambda rngs: NnxNet(
        run,
        down=nnx.Conv(3, 4, (3,), strides=3, padding=1, kernel_dilation=1 if wrong else 2, rngs=rngs),
        head=jax_tconv.nnx.ConvTranspose(4, 2, (2,), rngs=rngs),
    )
    return nnx_pair(original, twin, images(2, 3, 6))


@planted(FAULTS, "layers.1", argument=("epsilon", "eps"), shows=False)
def nnx_instance_norm_epsilon(wrong: bool) -> Pair:
    run = lambda net, x: net.layers(x)
    layers = (torch.nn.Conv2d(3, 4, 1), torch.nn.InstanceNorm2d(4, affine=True), torch.nn.ConvTranspose2d(4, 2, 2))
    original = TorchNet(run, layers=torch.nn.Sequential(*layers))
    epsilon = {} if wrong else {"epsilon": 1e-5}
    layers = lambda rngs: (
        nnx.Conv(3, 4, (1, 1), rngs=rngs),
        nnx.InstanceNorm(4, rngs=rngs, **epsilon),
        jax_tconv.nnx.ConvTranspose(4, 2, (2, 2), rngs=rngs),
    )
    return nnx_pair(original, lambda rngs: NnxNet(run, layers=nnx.Sequential(*layers(rngs))), images(2, 3, 4, 5))


@planted(FAULTS, "up", argument=("padding",))
def nnx_output_padding_at_the_wrong_end(wrong: bool) -> Pair:
    run = lambda net, x: net.head(net.up(x))
    original = TorchNet(
        run,
        up=torch.nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1, output_padding=1),
        head=torch.nn.Conv2d(3, 2, 1),
    )
    padding = ((0, 1), (0, 1)) if wrong else ((1, 0), (1, 0))
    twin = lambda rngs: NnxNet(
        run,
        up=jax_tconv.nnx.ConvTranspose(3, 3, (3, 3), strides=2, padding=padding, rngs=rngs),
        head=nnx.Conv(3, 2, (1, 1), rngs=rngs),
    )
    return nnx_pair(original, twin, images(2, 3, 4, 3))


@planted(FAULTS, "blocks.1.conv")
def nnx_spatial_axes_swapped(wrong: bool) -> Pair:
    def run(net, x):
        for block in net.blocks:
            x = block(x)
        return x

    call = lambda net, x: net.norm(net.conv(x))
    torch_blocks = (
        TorchNet(call, conv=torch.nn.Conv2d(4, 4, 3, padding=1), norm=torch.nn.GroupNorm(1, 4)) for _ in range(3)
    )
    original = TorchNet(run, blocks=torch.nn.ModuleList(torch_blocks))
    block = lambda rngs: NnxNet(
        call,
        conv=nnx.Conv(4, 4, (3, 3), padding=1, rngs=rngs),
        norm=nnx.GroupNorm(4, num_groups=1, epsilon=1e-5, rngs=rngs),
    )
    twin = lambda rngs: NnxNet(run, blocks=nnx.List([block(rngs) for _ in range(3)]))
    pair = nnx_pair(original, twin, images(2, 4, 5, 5))
    if wrong:
        kernel = pair.twin.blocks[1].conv.kernel
        kernel.set_value(kernel[...].swapaxes(0, 1))
    return pair


@planted(FAULTS, "first", first=("first",))
def nnx_two_layers_of_one_shape_swapped(wrong: bool) -> Pair:
    """Only their weights: their biases and names are right."""
    run = lambda net, x: net.head(abs(net.second(abs(net.first(x)))))
    linear = torch.nn.Linear
    original = TorchNet(run, first=linear(4, 4), second=linear(4, 4), head=linear(4, 3))
    twin = lambda rngs: NnxNet(
        run, **{name: nnx.Linear(4, n, rngs=rngs) for name, n in {"first": 4, "second": 4, "head": 3}.items()}
    )
    pair = nnx_pair(original, twin, images(5, 4))
    if not wrong:
        return pair
    first, second = pair.twin.first.kernel[...], pair.twin.second.kernel[...]
    return changed(pair, first_kernel=lambda _: second, second_kernel=lambda _: first)


@planted(FAULTS, "norm", "up", first=("norm", "up"))
def nnx_norm_left_out(wrong: bool) -> Pair:
    """It is there and has its weights, and is not called."""
    run = lambda net, x: net.up(abs(net.norm(net.stem(x))))
    original = TorchNet(
        run, stem=torch.nn.Conv2d(3, 4, 1), norm=torch.nn.BatchNorm2d(4), up=torch.nn.ConvTranspose2d(4, 2, 2)
    )
    twin = lambda rngs: NnxNet(
        (lambda net, x: net.up(abs(net.stem(x)))) if wrong else run,
        stem=nnx.Conv(3, 4, (1, 1), rngs=rngs),
        norm=nnx.BatchNorm(4, momentum=0.9, rngs=rngs),
        up=jax_tconv.nnx.ConvTranspose(4, 2, (2, 2), rngs=rngs),
    )
    return nnx_pair(original, twin, images(2, 3, 4, 5))


class GELU(nn.Module):
    """A module of the user's own, with Flax's argument and Flax's default."""

    approximate: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.gelu(x, approximate=self.approximate)


@planted(FAULTS, "act", argument=("approximate",), shows=False)
def linen_approximate_gelu_of_a_module(wrong: bool) -> Pair:
    run = lambda net, x: net.head(net.act(net.stem(x)))
    original = TorchNet(run, stem=torch.nn.Linear(3, 8), act=torch.nn.GELU(), head=torch.nn.Linear(8, 3))
    twin = LinenNet(run, lambda: {"stem": nn.Dense(8), "act": GELU() if wrong else GELU(False), "head": nn.Dense(3)})
    return linen_pair(original, twin, images(5, 3))


@planted(FAULTS, "norm", argument=("reduction_axes", "axis", "feature_axes", "normalized_shape"))
def linen_layer_norm_axis(wrong: bool) -> Pair:
    run = lambda net, x: net.head(net.norm(net.stem(x)))
    original = TorchNet(run, stem=torch.nn.Linear(3, 6), norm=torch.nn.LayerNorm(6), head=torch.nn.Linear(6, 6))
    axes = 1 if wrong else -1
    twin = LinenNet(
        run,
        lambda: {"stem": nn.Dense(6), "norm": nn.LayerNorm(epsilon=1e-5, reduction_axes=axes), "head": nn.Dense(6)},
    )
    x = images(2, 6, 3)
    return linen_pair(original, twin, x, options=sequences(x), as_flax=as_it_is)


@planted(FAULTS, "head", says=("flatten", "head", r"5, ?4"))
def linen_flatten_order(wrong: bool) -> Pair:
    original = TorchNet(
        lambda net, x: net.out(torch.relu(net.head(net.stem(x).flatten(1)))),
        stem=torch.nn.Conv1d(3, 4, 1),
        head=torch.nn.Linear(20, 6),
        out=torch.nn.Linear(6, 2),
    )
    twin = LinenNet(
        lambda net, x: net.out(nn.relu(net.head(net.stem(x).reshape(len(x), -1)))),
        lambda: {"stem": nn.Conv(4, (1,)), "head": nn.Dense(6), "out": nn.Dense(2)},
    )
    return linen_pair(original, twin, images(3, 3, 5), loading={} if wrong else {"flatten": {"head": (5, 4)}})


@planted(FAULTS, "attention")
def linen_heads(wrong: bool) -> Pair:
    """More heads of fewer features: the kernels of four times two hold the numbers of two times four."""
    original = TorchNet(
        lambda net, x: net.head(net.attention(x, x, x)[0]),
        attention=torch.nn.MultiheadAttention(8, 2, batch_first=True),
        head=torch.nn.Linear(8, 4),
    )
    heads = 4 if wrong else 2
    twin = LinenNet(
        lambda net, x: net.head(net.attention(x)),
        lambda: {"attention": nn.MultiHeadDotProductAttention(heads, qkv_features=8), "head": nn.Dense(4)},
    )
    x = 2 * images(2, 8, 8)
    return linen_pair(original, twin, x, options=sequences(x), as_flax=as_it_is)


def _two_heads(output) -> Pair:
    """The mean and the logarithm of the variance, as an encoder gives them."""
    original = TorchNet(
        lambda net, x: (lambda y: {"mu": net.mu(y), "logvar": net.logvar(y)})(torch.tanh(net.stem(x))),
        stem=torch.nn.Linear(3, 4),
        mu=torch.nn.Linear(4, 2),
        logvar=torch.nn.Linear(4, 2),
    )
    twin = LinenNet(
        lambda net, x: (lambda y: output(net.mu(y), net.logvar(y)))(nn.tanh(net.stem(x))),
        lambda: {"stem": nn.Dense(4), "mu": nn.Dense(2), "logvar": nn.Dense(2)},
    )
    return linen_pair(original, twin, images(5, 3))


@planted(FAULTS, "output", says=("mu|logvar",))
def linen_outputs_swapped(wrong: bool) -> Pair:
    return _two_heads(lambda mu, logvar: {"mu": logvar, "logvar": mu} if wrong else {"mu": mu, "logvar": logvar})


@planted(FAULTS, "output", says=("logvar",))
def linen_output_scaled(wrong: bool) -> Pair:
    return _two_heads(lambda mu, logvar: {"mu": mu, "logvar": (0.5 if wrong else 1) * logvar})


@correct_in(PAIRS)
def nnx_by_order() -> Pair:
    # Names that have nothing in common; rows, columns, channels and batch are five.
    original = TorchNet(
        lambda net, x: net.z(torch.relu(net.a(x))),
        a=torch.nn.Conv2d(5, 6, 3, padding=1),
        z=torch.nn.ConvTranspose2d(6, 5, 2, stride=2, padding=1),
    )
    twin = lambda rngs: NnxNet(
        lambda net, x: net.decode(nnx.relu(net.encode(x))),
        encode=nnx.Conv(5, 6, (3, 3), padding=1, rngs=rngs),
        decode=jax_tconv.nnx.ConvTranspose(6, 5, (2, 2), strides=2, padding=1, rngs=rngs),
    )
    by_order = {"match": "order"}
    return nnx_pair(original, twin, images(5, 5, 5, 5), loading=by_order, options=by_order)


@correct_in(PAIRS)
def nnx_output_padding_as_less_padding() -> Pair:
    # A row less removed at the end is a row of output padding.
    original = TorchNet(
        lambda net, x: torch.sigmoid(net.up(x)),
        up=torch.nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1),
    )
    twin = lambda rngs: NnxNet(
        lambda net, x: nnx.sigmoid(net.up(x)),
        up=jax_tconv.nnx.ConvTranspose(4, 4, (3, 3), strides=2, padding=((1, 0), (1, 0)), rngs=rngs),
    )
    return nnx_pair(original, twin, images(4, 4, 4, 4))


@correct_in(PAIRS)
def nnx_channels_moved_last_in_torch() -> Pair:
    # As in ConvNeXt: torch moves the channels last for LayerNorm and Linear, and back. In Flax they always are.
    original = TorchNet(
        lambda net, x: net.stem(x) + net.two(abs(net.one(net.norm(net.stem(x).movedim(1, -1))))).movedim(-1, 1),
        stem=torch.nn.Conv2d(4, 4, 3, padding=1, groups=4),
        norm=torch.nn.LayerNorm(4),
        one=torch.nn.Linear(4, 4),
        two=torch.nn.Linear(4, 4),
    )
    twin = lambda rngs: NnxNet(
        lambda net, x: net.stem(x) + net.two(abs(net.one(net.norm(net.stem(x))))),
        stem=nnx.Conv(4, 4, (3, 3), padding=1, feature_group_count=4, rngs=rngs),
        norm=nnx.LayerNorm(4, epsilon=1e-5, rngs=rngs),
        one=nnx.Linear(4, 4, rngs=rngs),
        two=nnx.Linear(4, 4, rngs=rngs),
    )
    return nnx_pair(original, twin, images(4, 4, 4, 4))


@correct_in(PAIRS)
def linen_rnn_of_two_layers() -> Pair:
    # No layer of Flax's gives what torch's `rnn` gives but the second, whose input torch does not show.
    original = TorchNet(
        lambda net, x: net.head(net.rnn(x)[0]),
        rnn=torch.nn.GRU(4, 4, num_layers=2, batch_first=True),
        head=torch.nn.Linear(4, 4),
    )
    twin = LinenNet(
        lambda net, x: net.head(net.upper(net.lower(x))),
        lambda: {"lower": nn.RNN(nn.GRUCell(4)), "upper": nn.RNN(nn.GRUCell(4)), "head": nn.Dense(4)},
    )

    def rename(name):
        layer = {"rnn": "upper" if name.endswith("_l1") else "lower"}
        first, _, rest = name.partition(".")
        return f"{layer.get(first, first)}.{rest.replace('_l1', '_l0')}"

    x = images(4, 4, 4)
    options = sequences(x) | {"rename": rename}
    return linen_pair(original, twin, x, loading={"rename": rename}, options=options, as_flax=as_it_is)


@correct_in(PAIRS)
def linen_time_major_only_inside() -> Pair:
    # torch takes and gives the batch first, and turns the axes for its RNN alone.
    original = TorchNet(
        lambda net, x: net.head(net.rnn(x.transpose(0, 1))[0].transpose(0, 1)),
        rnn=torch.nn.LSTM(4, 4),
        head=torch.nn.Linear(4, 4),
    )
    twin = LinenNet(lambda net, x: net.head(net.rnn(x)), lambda: {"rnn": nn.RNN(nn.LSTMCell(4)), "head": nn.Dense(4)})
    x = images(4, 4, 4)
    return linen_pair(original, twin, x, options=sequences(x), as_flax=as_it_is)


@correct_in(PAIRS)
def linen_decoder_1d() -> Pair:
    run = lambda net, x: net.two(abs(net.one(x)))
    original = TorchNet(
        run,
        one=torch.nn.ConvTranspose1d(4, 8, 4, stride=3, padding=1, output_padding=2, groups=4),
        two=torch.nn.ConvTranspose1d(8, 4, 3, dilation=2, padding=2, groups=2),
    )
    transposed = jax_tconv.linen.ConvTranspose
    twin = LinenNet(
        run,
        lambda: {
            "one": transposed(8, (4,), 3, padding=1, output_padding=2, feature_group_count=4),
            "two": transposed(4, (3,), kernel_dilation=2, padding=2, feature_group_count=2),
        },
    )
    return linen_pair(original, twin, images(4, 4, 4))


@correct_in(PAIRS)
def linen_outputs_without_a_batch() -> Pair:
    # Indices in; a table of eight words by eight features, one vector, and a number out.
    def run(mean):
        def call(net, x):
            y = net.head(net.words(x))
            return mean(y), y[0, 0], y.sum()

        return call

    original = TorchNet(run(lambda y: y.mean(0)), words=torch.nn.Embedding(9, 8), head=torch.nn.Linear(8, 8))
    twin = LinenNet(run(lambda y: y.mean(0)), lambda: {"words": nn.Embed(9, 8), "head": nn.Dense(8)})
    return linen_pair(original, twin, torch.arange(24).reshape(3, 8) % 9)


@correct_in(PAIRS)
def linen_called_twice_in_channels_last_torch() -> Pair:
    # A Linear that is called for each of two maps, and a torch network that gives a list within a tuple.
    def run(net, a, b):
        return [net.mix(a), (net.mix(b), net.head(net.mix(a) - net.mix(b)))]

    original = TorchNet(run, mix=torch.nn.Linear(3, 3), head=torch.nn.Linear(3, 3))
    twin = LinenNet(run, lambda: {"mix": nn.Dense(3), "head": nn.Dense(3)})
    a, b = images(3, 3, 3), 2 * images(3, 3, 3) - 1
    return linen_pair(original, twin, a, b, options=sequences(a, b), as_flax=as_it_is)
