"""What an op is lowered to on this machine."""

import functools
import re
from collections import Counter

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jax_tconv import conv_transpose


def program(op, x, kernel, dtype=jnp.float32, **arguments):
    """`op` as a function of its two operands, and these, for a layer with an input and a kernel of these shapes."""
    x, kernel = (jax.ShapeDtypeStruct(shape, dtype) for shape in (x, kernel))
    forward = functools.partial(conv_transpose, **arguments)
    y = jax.eval_shape(forward, x, kernel)
    return {
        "forward": (forward, x, kernel),
        "input_gradient": (lambda g, kernel: jax.linear_transpose(lambda x: forward(x, kernel), x)(g), y, kernel),
        "kernel_gradient": (lambda x, g: jax.linear_transpose(lambda k: forward(x, k), kernel)(g), x, y),
    }[op]


def lowered(op, x, kernel, platform="cpu", devices=1, **arguments):
    """The StableHLO of `op` for arrays of these shapes, lowered for a platform that need not be there.

    With more devices than one, as it is lowered to be split over so many.
    """
    function, *operands = program(op, x, kernel, **arguments)
    if devices > 1:
        mesh = jax.make_mesh((devices,), ("devices",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
        operands = (jax.device_put(jnp.zeros(v.shape), NamedSharding(mesh, PartitionSpec())) for v in operands)
    return jax.jit(function).trace(*operands).lower(lowering_platforms=(platform,)).as_text()


def operations(op, x, kernel, **arguments):
    """How often each of StableHLO's operations stands in it."""
    return Counter(re.findall(r"= \"?stablehlo\.(\w+)\b", lowered(op, x, kernel, **arguments)))
