"""Eight devices, and what of the arrays is split over them: the values of one device, and what they send."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jax.sharding import PartitionSpec as P

from jax_tconv import conv_transpose
from tests import reference
from tests.cases import METHODS
from tests.collectives import collectives, halo, specs
from tests.compare import close

pytestmark = pytest.mark.usefixtures("float64")

DOUBLING = {"stride": 2, "padding": 1}
SAME = DOUBLING | {"output_padding": 1}
# A layer for each row of the tables that is for several devices: input, kernel, arguments.
LAYERS = {
    "k4 s2": ((2, 16, 4, 3), (4, 4, 3, 8), DOUBLING),
    "k3 s2": ((2, 16, 4, 3), (3, 3, 3, 8), SAME),
    "k2 s2": ((2, 16, 4, 3), (2, 2, 3, 8), {"stride": 2}),
    "one axis": ((2, 16, 3), (16, 3, 8), {"stride": 8, "padding": 4}),
    "three axes": ((1, 16, 2, 2, 3), (3, 3, 3, 3, 8), SAME),
    "dilated": ((2, 16, 4, 3), (3, 3, 3, 8), {"stride": 2, "padding": 2, "dilation": 2, "output_padding": 1}),
    "many taps": ((1, 16, 2, 2), (12, 12, 2, 8), {"stride": 6, "padding": 3}),
    "eight groups": ((2, 16, 4, 16), (3, 3, 16, 3), SAME | {"groups": 8}),
    "depthwise": ((2, 16, 4, 8), (4, 4, 8, 1), DOUBLING | {"groups": 8}),
}


DEFAULTS = {"stride": 1, "output_padding": 0, "dilation": 1}


@functools.cache
def drawn(name):
    """x, kernel and a cotangent; by the reference the output and both gradients."""
    x, kernel, given = LAYERS[name]
    rng = np.random.default_rng(0)
    x, kernel, axes = rng.standard_normal(x), rng.standard_normal(kernel), len(x) - 2
    spelled = {key: (given.get(key, default),) * axes for key, default in DEFAULTS.items()}
    arguments = spelled | {"padding": ((given.get("padding", 0),) * 2,) * axes, "groups": given.get("groups", 1)}
    value = reference.conv_transpose(x, kernel, **arguments)
    y = rng.standard_normal(value.shape)
    return (x, kernel, y), (value, *reference.gradients(x, kernel, y, **arguments))


def programs(name, kind, mesh, **options):
    """The forward pass and the gradients, compiled for sharded arrays, with those arrays and with what they make."""
    arrays, (value, *gradients) = drawn(name)
    arguments = LAYERS[name][2]
    shardings = [NamedSharding(mesh, spec) for spec in specs(kind, arrays[0].ndim - 2, arguments.get("groups", 1))]
    x, kernel, y = (jax.device_put(v, to) for v, to in zip(arrays, shardings, strict=True))
    apply = functools.partial(conv_transpose, **arguments, **options)
    backward = lambda x, kernel, y: jax.vjp(apply, x, kernel)[1](y)
    forward = jax.jit(apply, out_shardings=shardings[2]).lower(x, kernel).compile()
    yield forward, (x, kernel), value
    yield jax.jit(backward, out_shardings=tuple(shardings[:2])).lower(x, kernel, y).compile(), (x, kernel, y), gradients


def mesh_of(count, kind=AxisType.Auto):
    return jax.make_mesh((count,), ("devices",), axis_types=(kind,), devices=jax.devices()[:count])


SPLITS = [(name, kind) for name in LAYERS for kind in ("rows", "channels")]
SPLITS += [(name, "batch") for name in ("k3 s2", "eight groups", "depthwise")]


PROGRAM = """
%body (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %ar = f32[4]{0} all-reduce(%x), to_apply=%add
}

ENTRY %main (p: f32[8]) -> f32[8] {
  %w = (s32[], f32[4]{0}) while(%t), condition=%c, body=%body, backend_config={"known_trip_count":{"n":"5"}}
  %ag = (f32[2,3]{1,0}, f32[8,3]{1,0}) all-gather-start(%x), dimensions={0}
  %done = f32[8,3]{1,0} all-gather-done(%ag)
  %cp = (bf16[2,3]{1,0}, bf16[2,3]{1,0}, u32[], u32[]) collective-permute-start(%x)
  ROOT %two = (f32[3]{0}, f64[]) all-reduce-start(%x, %y), to_apply=%add
}
"""


def test_collectives_are_read_from_the_text():
    assert sorted(collectives(PROGRAM)) == [
        ("all-gather", (96,), 1),
        ("all-reduce", (12, 8), 1),
        ("all-reduce", (16,), 5),
        ("collective-permute", (12,), 1),
    ]


@pytest.mark.parametrize(("name", "kind"), SPLITS)
def test_values_and_what_is_sent(name, kind):
    x, kernel, arguments = LAYERS[name]
    parts = x[0] if kind == "batch" else 8
    y = drawn(name)[0][2].shape
    sent = []
    for program, arrays, wanted in programs(name, kind, mesh_of(parts)):
        close(program(*arrays), wanted)
        sent.append(collectives(program.as_text()))
    forward, backward = sent
    sums = [each for each in backward if each.kind == "all-reduce"]
    if kind == "channels":
        # The input gradient sums over the channels out; whole groups share nothing.
        assert not forward
        assert sums == backward
        assert [each.total for each in sums] == ([8 * math.prod(x)] if arguments.get("groups", 1) == 1 else [])
        return
    assert [each.total for each in sums] == [8 * math.prod(kernel)]
    of_x, of_y = halo(x[1], kernel[0], y[1], 8, **arguments) if kind == "rows" else (0, 0)
    row_of_x, row_of_y = (8 * math.prod(shape) // shape[1] for shape in (x, y))
    exchanged = [each for each in backward if each not in sums]
    assert {each.kind for each in forward + exchanged} <= {"collective-permute"}
    assert all(each.times == 1 for each in forward + exchanged)
    # From two neighbours, and for two classes of residues or two gradients.
    assert sum(each.total for each in forward) <= 4 * of_x * row_of_x
    assert max((each.largest for each in forward), default=0) <= of_x * row_of_x
    assert max((each.largest for each in exchanged), default=0) <= max(of_y * row_of_y, of_x * row_of_x)


@pytest.mark.parametrize("method", METHODS)
def test_rows_split_in_every_method(method):
    for program, arrays, wanted in programs("k3 s2", "rows", mesh_of(4), method=method):
        close(program(*arrays), wanted)


def test_rows_that_do_not_lie_alike():
    # The output has other than stride times the rows of the input: more is sent, and the values are the same.
    x, kernel = np.random.default_rng(0).standard_normal((1, 4, 2, 2)), np.ones((5, 2, 2, 2))
    for method in (None, "im2col", "col2im", "taps", "subpixel"):
        apply = functools.partial(conv_transpose, method=method, stride=1)
        gradients = jax.value_and_grad(lambda x, kernel: jnp.sin(apply(x, kernel)).sum(), (0, 1))  # noqa: B023
        rows = jax.device_put(x, NamedSharding(mesh_of(4), P(None, "devices")))
        close(jax.jit(gradients)(rows, kernel), jax.jit(gradients)(x, kernel))


def test_a_bias_adds_one_sum():
    layer = LAYERS["k4 s2"]
    x, kernel = (jnp.ones(shape) for shape in layer[:2])
    x = jax.device_put(x, NamedSharding(mesh_of(2), P("devices")))
    loss = lambda x, kernel, bias: (conv_transpose(x, kernel, bias, **layer[2]) ** 2).sum()
    program = jax.jit(jax.grad(loss, (0, 1, 2))).lower(x, kernel, jnp.ones(8)).compile()
    assert {each.kind for each in collectives(program.as_text())} == {"all-reduce"}
    assert sum(each.total for each in collectives(program.as_text())) == 8 * (kernel.size + 8)


EXPLICIT = {
    "rows": (P(None, "rows"), P(), "k4 s2", P(None, "rows", None, None)),
    "batch and columns": (P("rows", None, "pairs"), P(), "k3 s2", P("rows", None, "pairs", None)),
    "rows over both axes": (P(None, ("rows", "pairs")), P(), "k3 s2", P(None, ("rows", "pairs"), None, None)),
    "groups": (P(*[None] * 3, "rows"), P(None, None, "rows"), "eight groups", P(None, None, None, "rows")),
    "groups of the kernel": (P(), P(None, None, "rows"), "eight groups", P(None, None, None, "rows")),
    "rows and groups": (P(None, "rows", None, "pairs"), P(), "depthwise", P(None, "rows", None, "pairs")),
    # What a data-parallel network does that keeps each device's share of the parameters.
    "batch and channels in": (P("pairs"), P(None, None, None, "pairs"), "k4 s2", P("pairs", None, None, None)),
}


def both_axes():
    return jax.make_mesh((2, 2), ("rows", "pairs"), axis_types=(AxisType.Explicit,) * 2, devices=jax.devices()[:4])


@pytest.mark.parametrize("kind", EXPLICIT)
def test_explicit_axes(kind):
    of_x, of_kernel, name, of_y = EXPLICIT[kind]
    (x, kernel, y), (value, *gradients) = drawn(name)

    @jax.jit
    def everything(x, kernel, y):
        value, backward = jax.vjp(functools.partial(conv_transpose, **LAYERS[name][2]), x, kernel)
        return value, *backward(jax.sharding.reshard(y, jax.typeof(value).sharding))

    mesh = both_axes()
    with jax.set_mesh(mesh):
        x, kernel = (jax.device_put(v, NamedSharding(mesh, to)) for v, to in ((x, of_x), (kernel, of_kernel)))
        got = everything(x, kernel, jax.device_put(y, NamedSharding(mesh, P())))
    assert got[0].sharding.spec == of_y
    assert got[1].sharding.is_equivalent_to(x.sharding, x.ndim)
    assert got[2].sharding.is_equivalent_to(kernel.sharding, kernel.ndim)
    close(got, (value, *gradients))


WAY_OUT = "Use jax.sharding.reshard, or a mesh with AxisType.Auto axes"
REFUSED = {
    "taps": ((2, 8, 4, 8), (4, 4, 8, 2), P(), P("rows"), DOUBLING, "the taps of a kernel may not be"),
    "no whole groups": (
        (2, 8, 4, 12),
        (4, 4, 12, 2),
        P(None, None, None, "rows"),
        P(),
        DOUBLING | {"groups": 3},
        "no whole number of the 3 groups",
    ),
    "channels of a group": (
        (2, 8, 4, 8),
        (4, 4, 8, 2),
        P(),
        P(None, None, None, "rows"),
        DOUBLING | {"groups": 2},
        "the output channels of one group may not be",
    ),
    "rows": ((2, 8, 4, 8), (3, 4, 8, 2), P(None, "rows"), P(), {"stride": 2}, "do not divide the 17 rows"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_explicit_axes_refuse(kind):
    x, kernel, of_x, of_kernel, arguments, words = REFUSED[kind]
    mesh = both_axes()
    with jax.set_mesh(mesh):
        x, kernel = (jax.device_put(jnp.ones(v), NamedSharding(mesh, to)) for v, to in ((x, of_x), (kernel, of_kernel)))
        with pytest.raises(ValueError, match=f"explicit mesh axis 'rows', of 2 devices; .*{words}.*{WAY_OUT}"):
            jax.jit(functools.partial(conv_transpose, **arguments))(x, kernel)


@pytest.mark.parametrize(
    ("spec", "words"),
    [(PartitionSpec(None, "devices"), "evenly divide"), (PartitionSpec("elsewhere"), "elsewhere")],
    ids=["does not divide", "no such axis"],
)
def test_shardings_that_cannot_be(spec, words):
    apply = functools.partial(conv_transpose, **DOUBLING)
    with pytest.raises(ValueError, match=words):
        jax.jit(apply, in_shardings=(NamedSharding(mesh_of(8), spec), None))(
            jnp.ones((8, 4, 4, 2)), jnp.ones((4, 4, 2, 3))
        )
