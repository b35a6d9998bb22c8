"""Networks that differ in what is called, in which order, and in what comes out."""

import jax.numpy as jnp
import torch
from flax import linen as nn
from flax import nnx

import jax_tconv.linen
import jax_tconv.nnx
from tests.planted.fault import Fault, planted
from tests.planted.pair import LinenNet, NnxNet, Pair, TorchNet, as_it_is, images, linen_pair, nnx_pair, sequences

FAULTS: list[Fault] = []


def _unet(concatenate, order):
    """Two levels of one width, so that the features of either level fit both decoders."""

    def run(net, x):
        first = net.down1(x)
        second = net.down2(first)
        skips = order(first, second)
        return net.up2(concatenate(net.up1(concatenate(second, skips[1])), skips[0]))

    return run


@planted(FAULTS, "up1", first=("up1",))
def nnx_skip_connections_swapped(wrong: bool) -> Pair:
    """`up1` gets the features of `down1`, and `up2` those of `down2`."""
    conv, up = torch.nn.Conv2d, torch.nn.ConvTranspose2d
    original = TorchNet(
        _unet(lambda *maps: torch.cat(maps, 1), lambda *skips: skips),
        down1=conv(3, 4, 3, padding=1),
        down2=conv(4, 4, 3, padding=1),
        up1=up(8, 4, 3, padding=1),
        up2=up(8, 2, 3, padding=1),
    )
    twin = lambda rngs: NnxNet(
        _unet(lambda *maps: jnp.concatenate(maps, -1), lambda *skips: skips[::-1] if wrong else skips),
        down1=nnx.Conv(3, 4, (3, 3), padding=1, rngs=rngs),
        down2=nnx.Conv(4, 4, (3, 3), padding=1, rngs=rngs),
        up1=jax_tconv.nnx.ConvTranspose(8, 4, (3, 3), padding=1, rngs=rngs),
        up2=jax_tconv.nnx.ConvTranspose(8, 2, (3, 3), padding=1, rngs=rngs),
    )
    return nnx_pair(original, twin, images(2, 3, 4, 5))


@planted(FAULTS, "act", "head", first=("act", "head"))
def nnx_activation_left_out(wrong: bool) -> Pair:
    original = TorchNet(
        lambda net, x: net.head(net.act(net.norm(net.stem(x)))),
        stem=torch.nn.Conv2d(3, 4, 1),
        norm=torch.nn.GroupNorm(2, 4),
        act=torch.nn.ReLU(inplace=True),
        head=torch.nn.ConvTranspose2d(4, 3, 2),
    )
    twin = lambda rngs: NnxNet(
        lambda net, x: net.head((lambda y: y if wrong else nnx.relu(y))(net.norm(net.stem(x)))),
        stem=nnx.Conv(3, 4, (1, 1), rngs=rngs),
        norm=nnx.GroupNorm(4, num_groups=2, epsilon=1e-5, rngs=rngs),
        head=jax_tconv.nnx.ConvTranspose(4, 3, (2, 2), rngs=rngs),
    )
    return nnx_pair(original, twin, images(2, 3, 4, 5))


@planted(FAULTS, "head")
def linen_residual_left_out(wrong: bool) -> Pair:
    """`body` itself is right; what reaches `head` is not."""
    original = TorchNet(
        lambda net, x: (lambda y: net.head(y + net.body(y)))(net.stem(x)),
        stem=torch.nn.Conv3d(1, 3, 1),
        body=torch.nn.Conv3d(3, 3, 3, padding=1),
        head=torch.nn.ConvTranspose3d(3, 2, 2),
    )
    twin = LinenNet(
        lambda net, x: (lambda y: net.head((0 if wrong else y) + net.body(y)))(net.stem(x)),
        lambda: {
            "stem": nn.Conv(3, (1, 1, 1)),
            "body": nn.Conv(3, (3, 3, 3), padding=1),
            "head": jax_tconv.linen.ConvTranspose(2, (2, 2, 2)),
        },
    )
    return linen_pair(original, twin, images(1, 1, 2, 3, 4))


@planted(FAULTS, "mix", first=("mix", "head"))
def nnx_layer_called_twice(wrong: bool) -> Pair:
    original = TorchNet(
        lambda net, x: net.head(torch.relu(net.mix(net.stem(x)))),
        stem=torch.nn.Linear(3, 4),
        mix=torch.nn.Linear(4, 4),
        head=torch.nn.Linear(4, 2),
    )

    def run(net, x):
        x = nnx.relu(net.mix(net.stem(x)))
        return net.head(nnx.relu(net.mix(x)) if wrong else x)

    twin = lambda rngs: NnxNet(
        run,
        stem=nnx.Linear(3, 4, rngs=rngs),
        mix=nnx.Linear(4, 4, rngs=rngs),
        head=nnx.Linear(4, 2, rngs=rngs),
    )
    return nnx_pair(original, twin, images(5, 3))


def _nnx_maps(torch_output, flax_output, **pair) -> Pair:
    """Two maps, and what a network makes of them."""
    original = TorchNet(
        lambda net, x: torch_output(net.mask(net.stem(x)), net.edge(net.stem(x))),
        stem=torch.nn.Conv2d(3, 4, 1),
        mask=torch.nn.ConvTranspose2d(4, 2, 2),
        edge=torch.nn.ConvTranspose2d(4, 2, 2),
    )
    twin = lambda rngs: NnxNet(
        lambda net, x: flax_output(net.mask(net.stem(x)), net.edge(net.stem(x))),
        stem=nnx.Conv(3, 4, (1, 1), rngs=rngs),
        mask=jax_tconv.nnx.ConvTranspose(4, 2, (2, 2), rngs=rngs),
        edge=jax_tconv.nnx.ConvTranspose(4, 2, (2, 2), rngs=rngs),
    )
    return nnx_pair(original, twin, images(2, 3, 4, 5), **pair)


def _linen_maps(torch_output, flax_output) -> Pair:
    original = TorchNet(
        lambda net, x: torch_output(net.mask(x), net.edge(x)),
        mask=torch.nn.Conv1d(3, 2, 3),
        edge=torch.nn.Conv1d(3, 2, 3),
    )
    twin = LinenNet(
        lambda net, x: flax_output(net.mask(x), net.edge(x)),
        lambda: {name: nn.Conv(2, (3,), padding="VALID") for name in ("mask", "edge")},
    )
    return linen_pair(original, twin, images(2, 3, 5))


@planted(FAULTS, "output")
def nnx_too_few_outputs(wrong: bool) -> Pair:
    return _nnx_maps(lambda a, b: (a, b), lambda a, b: (a,) if wrong else (a, b))


@planted(FAULTS, "output", says=("logits",))
def nnx_a_dict_with_other_keys(wrong: bool) -> Pair:
    """Of one size and in one order, so that only the name tells."""
    name = "scores" if wrong else "logits"
    return _nnx_maps(lambda a, b: {"logits": a, "rim": b}, lambda a, b: {name: a, "rim": b})


@planted(FAULTS, "output")
def nnx_nan_output(wrong: bool) -> Pair:
    """The root of what is negative, where torch takes the absolute value first."""
    return _nnx_maps(lambda a, b: a.abs().sqrt(), lambda a, b: jnp.sqrt(a if wrong else abs(a)))


@planted(FAULTS, "output")
def nnx_output_transposed(wrong: bool) -> Pair:
    """(2, 8, 8): the shape fits either way, but a Linear has its features last in both."""
    run = lambda net, x: net.second(torch.tanh(net.first(x)))
    original = TorchNet(run, first=torch.nn.Linear(4, 8), second=torch.nn.Linear(8, 8))
    twin = lambda rngs: NnxNet(
        lambda net, x: (lambda y: y.swapaxes(1, 2) if wrong else y)(net.second(jnp.tanh(net.first(x)))),
        first=nnx.Linear(4, 8, rngs=rngs),
        second=nnx.Linear(8, 8, rngs=rngs),
    )
    x = images(2, 8, 4)
    return nnx_pair(original, twin, x, options=sequences(x), as_flax=as_it_is)


@planted(FAULTS, "output")
def linen_none(wrong: bool) -> Pair:
    """A forgotten `return`."""
    return _linen_maps(lambda a, b: a + b, lambda a, b: None if wrong else a + b)


@planted(FAULTS, "output")
def linen_too_many_outputs(wrong: bool) -> Pair:
    return _linen_maps(lambda a, b: (a, b), lambda a, b: (a, b, a + b) if wrong else (a, b))
