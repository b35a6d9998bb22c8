"""What the contestants written in JAX share: one compiled program for the output, or for the output and gradients."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ..layers import Arrays, Layer
from .contestant import Prepared
from .layout import Layout


def prepare(function: Callable[..., Any], layer: Layer, mode: str, arrays: Arrays, layout: Layout) -> Prepared:
    """Compiles `function(x, kernel)`, which takes and returns arrays in that layout."""

    def training(x: jax.Array, kernel: jax.Array, g: jax.Array) -> tuple[jax.Array, ...]:
        y, vjp = jax.vjp(function, x, kernel)
        return y, *vjp(g)

    given = layout.from_ours(layer, arrays)
    operands = jax.device_put(given if mode == "training" else given[:2])
    start = time.perf_counter()
    program = jax.jit(training if mode == "training" else function).lower(*operands).compile()
    seconds = time.perf_counter() - start

    def results() -> tuple[np.ndarray, ...]:
        return layout.to_ours(layer, *map(np.asarray, jax.tree.leaves(program(*operands))))

    memory: Any = program.memory_analysis()
    temporary = total = None
    if memory is not None:
        temporary = memory.temp_size_in_bytes
        total = temporary + memory.argument_size_in_bytes + memory.output_size_in_bytes
    return Prepared(lambda: jax.block_until_ready(program(*operands)), results, seconds, temporary, total)


def stuffed_padding(layer: Layer) -> list[tuple[int, int]]:
    """What a convolution over the zero-stuffed input, reversed kernel and all, adds to both ends of that input."""
    fields = (layer.kernel, layer.padding, layer.output_padding, layer.dilation)
    return [(d * (k - 1) - p, d * (k - 1) - p + op) for k, p, op, d in zip(*fields, strict=True)]
