"""Every method under `jax.shard_map`: the values and derivatives of one device, whatever varies over the mesh."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from jax_tconv import conv_transpose
from jax_tconv._methods import rows
from tests.cases import METHODS
from tests.compare import close

ARGUMENTS = {"stride": 2, "padding": 1, "output_padding": 1}
# What of input, kernel and output is split over the mesh; channels that are summed over leave a sum over the devices.
SPLIT = {
    "batch": (P("devices"), P(), P("devices")),
    "channels out": (P(), P(None, None, None, "devices"), P(None, None, None, "devices")),
    "channels in": (P(None, None, None, "devices"), P(None, None, "devices"), P()),
}
METHODS_AND_NONE = [None, *METHODS]
JITTED = [("batch", True, 8), ("batch", False, 2), ("channels out", True, 4), ("channels out", False, 8)]
JITTED += [("channels in", True, 2), ("channels in", False, 4)]
EAGER = [("batch", True, 8)]
EVERY = list(itertools.product(SPLIT, (True, False), (2, 4, 8)))

pytestmark = pytest.mark.usefixtures("float64")


@functools.cache
def operands():
    rng = np.random.default_rng(0)
    shapes = {"x": (8, 3, 2, 8), "kernel": (3, 2, 8, 8), "x_dot": (8, 3, 2, 8), "kernel_dot": (3, 2, 8, 8)}
    return tuple(rng.standard_normal(shape) for shape in shapes.values())


def everything(apply):
    """The output, both gradients, a directional derivative, and the gradients of the gradients."""

    def compute(x, kernel, x_dot, kernel_dot):
        loss = lambda x, kernel: jnp.sin(apply(x, kernel)).sum()
        squares = lambda x, kernel: sum((gradient**2).sum() for gradient in jax.grad(loss, (0, 1))(x, kernel))
        y, tangent = jax.jvp(apply, (x, kernel), (x_dot, kernel_dot))
        return y, tangent, jax.grad(loss, (0, 1))(x, kernel), jax.grad(squares, (0, 1))(x, kernel)

    return compute


@functools.cache
def on_one_device():
    with jax.enable_x64(True):
        return jax.jit(everything(functools.partial(conv_transpose, method="lhs_dilation", **ARGUMENTS)))(*operands())


def check(method, split, check_vma, size, transform):
    mesh = jax.make_mesh((size,), ("devices",), axis_types=(AxisType.Auto,), devices=jax.devices()[:size])
    x, kernel, y = SPLIT[split]

    def apply(x, kernel):
        part = conv_transpose(x, kernel, method=method, **ARGUMENTS)
        return jax.lax.psum(part, "devices") if split == "channels in" else part

    mapped = jax.shard_map(apply, mesh=mesh, in_specs=(x, kernel), out_specs=y, check_vma=check_vma)
    close(transform(everything(mapped))(*operands()), on_one_device())


@pytest.mark.parametrize(("split", "check_vma", "size"), JITTED)
@pytest.mark.parametrize("method", METHODS_AND_NONE)
def test_the_values_of_one_device(method, split, check_vma, size):
    check(method, split, check_vma, size, jax.jit)


@pytest.mark.parametrize(("split", "check_vma", "size"), EAGER)
@pytest.mark.parametrize("method", METHODS_AND_NONE)
def test_the_values_of_one_device_without_jit(method, split, check_vma, size):
    check(method, split, check_vma, size, lambda compute: compute)


@pytest.mark.slow
@pytest.mark.parametrize(("split", "check_vma", "size"), EVERY)
@pytest.mark.parametrize("method", METHODS_AND_NONE)
def test_the_values_of_one_device_in_every_combination(method, split, check_vma, size):
    check(method, split, check_vma, size, jax.jit)
    check(method, split, check_vma, size, lambda compute: compute)


@pytest.mark.parametrize("method", METHODS_AND_NONE)
def test_derivatives_taken_on_each_device(method):
    # Where the body of the map differentiates, the gradient of what does not vary is a sum over the devices.
    x, kernel, *_ = operands()
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4])
    loss = lambda x, kernel: jnp.sin(conv_transpose(x, kernel, method=method, **ARGUMENTS)).sum()
    specs = P("devices"), P()
    mapped = jax.shard_map(jax.grad(loss, (0, 1)), mesh=mesh, in_specs=specs, out_specs=specs)
    close(jax.jit(mapped)(x, kernel), on_one_device()[2])


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("method", [None, "col2im", "im2col", "subpixel", "taps"])
def test_in_chunks(method, check_vma, monkeypatch):
    monkeypatch.setattr(rows, "MEGABYTE", 20)
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((8, 9, 6, 4)), rng.standard_normal((3, 3, 4, 6))
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4])
    apply = functools.partial(conv_transpose, method=method, stride=2, padding=1)
    mapped = jax.shard_map(apply, mesh=mesh, in_specs=(P("devices"), P()), out_specs=P("devices"), check_vma=check_vma)
    value_and_gradients = lambda f: jax.value_and_grad(lambda x, kernel: jnp.sin(f(x, kernel)).sum(), (0, 1))
    program = jax.jit(value_and_gradients(mapped)).lower(x, kernel)
    assert "stablehlo.while" in program.as_text()
    plain = functools.partial(conv_transpose, method="lhs_dilation", stride=2, padding=1)
    close(program.compile()(x, kernel), value_and_gradients(plain)(x, kernel))
