"""Eight devices: the numbers of one, and no more communication than the mathematics asks for."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jax_tconv import conv_transpose
from tests.cases import METHODS
from tests.collectives import collectives as sent
from tests.compare import close

APPLY = functools.partial(conv_transpose, stride=2, padding=1, output_padding=1, groups=2)


pytestmark = pytest.mark.usefixtures("float64")


def operands():
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.standard_normal((8, 3, 4, 4))), jnp.asarray(rng.standard_normal((3, 2, 4, 3)))


def loss(x, kernel):
    return (jnp.sin(APPLY(x, kernel))).sum()


def eight_samples():
    x, kernel = operands()
    return x, kernel, jax.value_and_grad(loss, (0, 1))(x, kernel)


def test_shard_map():
    x, kernel, expected = eight_samples()
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))

    @jax.jit
    @functools.partial(jax.shard_map, mesh=mesh, in_specs=(P("data"), P()), out_specs=(P(), (P("data"), P())))
    def step(x, kernel):
        value, (x_bar, kernel_bar) = jax.value_and_grad(loss, (0, 1))(x, kernel)
        return jax.lax.psum(value, "data"), (x_bar, kernel_bar)

    close(step(x, kernel), expected)


@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit])
def test_sharded_inputs_under_either_kind_of_mesh(axis_type, method):
    x, kernel, expected = eight_samples()
    apply = functools.partial(APPLY, method=method)
    value_and_gradients = jax.value_and_grad(lambda x, kernel: jnp.sin(apply(x, kernel)).sum(), (0, 1))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(axis_type,))
    with jax.set_mesh(mesh):
        x = jax.device_put(x, NamedSharding(mesh, P("data")))
        kernel = jax.device_put(kernel, NamedSharding(mesh, P()))
        y = jax.jit(apply)(x, kernel)
        assert y.sharding.spec[0] == "data"
        close(jax.jit(value_and_gradients)(x, kernel), expected)


def test_a_spatial_axis_under_an_explicit_mesh_is_refused():
    x, kernel = operands()
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Explicit,), devices=jax.devices()[:4])
    with jax.set_mesh(mesh):
        x = jax.device_put(x, NamedSharding(mesh, P(None, None, "data")))
        kernel = jax.device_put(kernel, NamedSharding(mesh, P()))
        with pytest.raises(ValueError, match=r"axis 2 of an operand of shape .* explicit mesh axis 'data'"):
            jax.jit(APPLY)(x, kernel)


def test_vmap_over_a_mesh_axis():
    x, kernel, (_, expected) = eight_samples()
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    x = jax.device_put(x, NamedSharding(mesh, P("data")))
    each = jax.vmap(jax.grad(lambda x, k: loss(x[None], k), (0, 1)), (0, None), spmd_axis_name="data")
    x_bar, kernel_bars = jax.jit(each)(x, kernel)
    close((x_bar, kernel_bars.sum(0)), expected)


def collectives(function, x, kernel):
    """The communication in a program compiled for inputs sharded over the batch."""
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    x = jax.device_put(x, NamedSharding(mesh, P("data")))
    kernel = jax.device_put(kernel, NamedSharding(mesh, P()))
    # The text is from before machine code is made. Nothing runs that code, so no time is spent on making it fast.
    text = jax.jit(function).lower(x, kernel).compile({"xla_backend_optimization_level": 0}).as_text()
    return [each.kind for each in sent(text)]


SHAPES = [((2, 2), 2), ((4, 4), 2), ((3, 3), 1), ((3, 5), (1, 3)), ((3,), 2), ((3, 2, 4), 2)]


@pytest.mark.parametrize(("c_in", "groups"), [(4, 1), (4, 2), (4, 4), (1, 1), (40, 20)])
@pytest.mark.parametrize(("kernel_size", "stride"), SHAPES)
def test_no_communication_but_one_sum_a_parameter(kernel_size, stride, c_in, groups):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((8, *[6] * len(kernel_size), c_in)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((*kernel_size, c_in, 2)), jnp.float32)
    forward = lambda x, kernel: conv_transpose(x, kernel, stride=stride, padding=1, groups=groups)
    gradient = jax.grad(lambda x, kernel: (forward(x, kernel) ** 2).sum(), (0, 1))
    assert collectives(forward, x, kernel) == []
    assert collectives(gradient, x, kernel) == ["all-reduce"]
