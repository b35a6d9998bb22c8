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


def operations(op, x, kernel, devices=1, **arguments):
    """How often each of StableHLO's operations stands in the program of `op`, for arrays of these shapes.

    With more devices than one, as it is lowered to be split over so many.
    """
    function, *operands = program(op, x, kernel, **arguments)
    if devices > 1:
        mesh = jax.make_mesh((devices,), ("devices",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
        operands = (jax.device_put(jnp.zeros(v.shape), NamedSharding(mesh, PartitionSpec())) for v in operands)
    return Counter(re.findall(r"= \"?stablehlo\.(\w+)\b", jax.jit(function).lower(*operands).as_text()))
