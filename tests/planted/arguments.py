"""Wrong arguments: the weights are right, and the twin loads them without a word."""

import jax
import torch
from flax import linen as nn
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx
from tests.planted.fault import Fault, planted
from tests.planted.pair import LinenNet, NnxNet, Pair, TorchNet, as_it_is, images, linen_pair, nnx_pair, sequences

FAULTS: list[Fault] = []


@planted(FAULTS, "norm", argument=("epsilon", "eps"), shows=False)
def nnx_batch_norm_epsilon(wrong: bool) -> Pair:
    """A millionth instead of a hundred-thousandth: 3e-5 in the values, which pass for rounding."""
    run = lambda net, x: net.head(net.norm(net.stem(x)))
    original = TorchNet(
        run, stem=torch.nn.Conv2d(3, 4, 3), norm=torch.nn.BatchNorm2d(4), head=torch.nn.ConvTranspose2d(4, 3, 3)
    )
    twin = lambda rngs: NnxNet(
        run,
        stem=nnx.Conv(3, 4, (3, 3), padding="VALID", rngs=rngs),
        norm=nnx.BatchNorm(4, momentum=0.9, epsilon=1e-6 if wrong else 1e-5, rngs=rngs),
        head=jax_tconv.nnx.ConvTranspose(4, 3, (3, 3), rngs=rngs),
    )
    return nnx_pair(original, twin, images(2, 3, 5, 6))


@planted(FAULTS, "norm", argument=("momentum",), warning=True, shows=False)
def linen_batch_norm_momentum(wrong: bool) -> Pair:
    """Flax's default, 0.99, where torch's 0.1 is 0.9."""
    original = TorchNet(
        lambda net, x: net.norm(net.stem(x)), stem=torch.nn.Conv1d(3, 4, 1), norm=torch.nn.BatchNorm1d(4)
    )
    twin = LinenNet(
        lambda net, x: net.norm(net.stem(x), use_running_average=True),
        lambda: {"stem": nn.Conv(4, (1,)), "norm": nn.BatchNorm(momentum=0.99 if wrong else 0.9)},
    )
    return linen_pair(original, twin, images(2, 3, 5))


@planted(FAULTS, "down", argument=("padding",))
def nnx_padding_same_with_a_stride(wrong: bool) -> Pair:
    """`"SAME"` pads an even size at its end alone when the stride is two: the same size, shifted by a row."""
    run = lambda net, x: net.head(net.down(x))
    original = TorchNet(
        run, down=torch.nn.Conv2d(3, 4, 3, stride=2, padding=1), head=torch.nn.Conv2d(4, 2, 3, padding=1)
    )
    twin = lambda rngs: NnxNet(
        run,
        down=nnx.Conv(3, 4, (3, 3), strides=2, padding="SAME" if wrong else 1, rngs=rngs),
        head=nnx.Conv(4, 2, (3, 3), padding="SAME", rngs=rngs),  # of stride one: the same as 1
    )
    return nnx_pair(original, twin, images(2, 3, 6, 8))


@planted(FAULTS, "down", argument=("strides", "stride"))
def linen_strides_of_one_output_size(wrong: bool) -> Pair:
    """Four rows under a kernel of three with one row of padding give two rows, by a stride of two or of three."""
    run = lambda net, x: net.head(net.down(x))
    original = TorchNet(run, down=torch.nn.Conv2d(3, 4, 3, stride=2, padding=1), head=torch.nn.Conv2d(4, 2, 1))
    stride = 3 if wrong else 2
    twin = LinenNet(run, lambda: {"down": nn.Conv(4, (3, 3), strides=stride, padding=1), "head": nn.Conv(2, (1, 1))})
    return linen_pair(original, twin, images(2, 3, 4, 4))


@planted(FAULTS, "up", argument=("feature_group_count", "groups"))
def linen_groups(wrong: bool) -> Pair:
    """Two groups of two channels each have a weight of the same shape as one group of two channels."""
    original = TorchNet(
        lambda net, x: net.up(net.stem(x)).mean(1, keepdim=True),
        stem=torch.nn.Conv2d(3, 4, 1),
        up=torch.nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2, bias=False),
    )
    channels = {"features": 2} if wrong else {"features": 4, "feature_group_count": 2}
    twin = LinenNet(
        lambda net, x: net.up(net.stem(x)).mean(-1, keepdims=True),
        lambda: {
            "stem": nn.Conv(4, (1, 1)),
            "up": jax_tconv.linen.ConvTranspose(kernel_size=(2, 2), strides=2, use_bias=False, **channels),
        },
    )
    return linen_pair(original, twin, images(2, 3, 3, 4))


class LeakyReLU(nnx.Module):
    """A module of the user's own, with the argument that torch's has."""

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = negative_slope

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.leaky_relu(x, self.negative_slope)


@planted(FAULTS, "act", argument=("negative_slope",))
def nnx_leaky_slope_of_a_module(wrong: bool) -> Pair:
    run = lambda net, x: net.head(net.act(net.stem(x)))
    original = TorchNet(
        run, stem=torch.nn.Conv1d(3, 4, 1), act=torch.nn.LeakyReLU(0.2), head=torch.nn.ConvTranspose1d(4, 3, 2)
    )
    twin = lambda rngs: NnxNet(
        run,
        stem=nnx.Conv(3, 4, (1,), rngs=rngs),
        act=LeakyReLU() if wrong else LeakyReLU(0.2),
        head=jax_tconv.nnx.ConvTranspose(4, 3, (2,), rngs=rngs),
    )
    return nnx_pair(original, twin, images(2, 3, 5))


@planted(FAULTS, "norm", argument=("epsilon", "eps"), shows=False)
def nnx_layer_norm_epsilon(wrong: bool) -> Pair:
    """Flax's default is a millionth."""
    run = lambda net, x: net.head(net.norm(net.stem(x)))
    original = TorchNet(run, stem=torch.nn.Linear(6, 8), norm=torch.nn.LayerNorm(8), head=torch.nn.Linear(8, 5))
    twin = lambda rngs: NnxNet(
        run,
        stem=nnx.Linear(6, 8, rngs=rngs),
        norm=nnx.LayerNorm(8, epsilon=1e-6 if wrong else 1e-5, rngs=rngs),
        head=nnx.Linear(8, 5, rngs=rngs),
    )
    x = images(2, 4, 6)
    return nnx_pair(original, twin, x, options=sequences(x), as_flax=as_it_is)


@planted(FAULTS, "norm", argument=("num_groups", "groups", "group_size"))
def nnx_group_norm_groups(wrong: bool) -> Pair:
    run = lambda net, x: net.norm(net.stem(x))
    original = TorchNet(run, stem=torch.nn.Conv2d(3, 8, 1), norm=torch.nn.GroupNorm(2, 8))
    twin = lambda rngs: NnxNet(
        run,
        stem=nnx.Conv(3, 8, (1, 1), rngs=rngs),
        norm=nnx.GroupNorm(8, num_groups=4 if wrong else 2, epsilon=1e-5, rngs=rngs),
    )
    return nnx_pair(original, twin, images(2, 3, 4, 5))


@planted(FAULTS, "drop", argument=("rate", "p"), warning=True, shows=False)
def nnx_dropout_rate(wrong: bool) -> Pair:
    run = lambda net, x: net.head(net.drop(net.stem(x)))
    original = TorchNet(run, stem=torch.nn.Linear(4, 4), drop=torch.nn.Dropout(0.1), head=torch.nn.Linear(4, 3))
    twin = lambda rngs: NnxNet(
        run,
        stem=nnx.Linear(4, 4, rngs=rngs),
        drop=nnx.Dropout(0.5 if wrong else 0.1, rngs=rngs),
        head=nnx.Linear(4, 3, rngs=rngs),
    )
    return nnx_pair(original, twin, images(5, 4))


@planted(FAULTS, "weights", "second")
def linen_softmax_axis(wrong: bool) -> Pair:
    """Over the steps of a sequence instead of its features. A function, which has no argument to read."""
    original = TorchNet(
        lambda net, x: net.second(net.weights(net.first(x))),
        first=torch.nn.Linear(4, 4),
        weights=torch.nn.Softmax(dim=-1),
        second=torch.nn.Linear(4, 3),
    )
    twin = LinenNet(
        lambda net, x: net.second(nn.softmax(net.first(x), axis=1 if wrong else -1)),
        lambda: {"first": nn.Dense(4), "second": nn.Dense(3)},
    )
    x = 3 * images(2, 4, 4)
    return linen_pair(original, twin, x, options=sequences(x), as_flax=as_it_is)
