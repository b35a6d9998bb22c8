"""What an op is lowered to on this machine."""

import functools
import re
from collections import Counter

import jax
import jax.numpy as jnp

from jax_tconv import conv_transpose


def operations(op, x, kernel, **arguments):
    """How often each of StableHLO's operations stands in the program of `op`, for arrays of these shapes."""
    x, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (x, kernel))
    forward = functools.partial(conv_transpose, **arguments)
    y = jax.eval_shape(forward, x, kernel)
    function, *operands = {
        "forward": (forward, x, kernel),
        "input_gradient": (lambda g, kernel: jax.linear_transpose(lambda x: forward(x, kernel), x)(g), y, kernel),
        "kernel_gradient": (lambda x, g: jax.linear_transpose(lambda k: forward(x, k), kernel)(g), x, y),
    }[op]
    return Counter(re.findall(r"= \"?stablehlo\.(\w+)\b", jax.jit(function).lower(*operands).as_text()))
