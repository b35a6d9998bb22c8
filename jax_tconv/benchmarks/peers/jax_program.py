"""What the contestants written in JAX share: one compiled program for the output, or for the output and gradients."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .contestant import Prepared

Restore = Callable[[np.ndarray], np.ndarray]


def _same(array: np.ndarray) -> np.ndarray:
    return array


def prepare(
    function: Callable[[jax.Array, jax.Array], jax.Array],
    mode: str,
    x: np.ndarray,
    kernel: np.ndarray,
    g: np.ndarray,
    *,
    restore_image: Restore = _same,
    restore_kernel: Restore = _same,
) -> Prepared:
    """Compiles `function(x, kernel)`; the `restore` functions bring arrays in its layout to that of `Arrays`."""

    def training(x: jax.Array, kernel: jax.Array, g: jax.Array) -> tuple[jax.Array, ...]:
        y, vjp = jax.vjp(function, x, kernel)
        return y, *vjp(g)

    operands = jax.device_put((x, kernel, g) if mode == "training" else (x, kernel))
    start = time.perf_counter()
    program = jax.jit(training if mode == "training" else function).lower(*operands).compile()
    seconds = time.perf_counter() - start

    def results() -> tuple[np.ndarray, ...]:
        outputs = program(*operands)
        if mode == "forward":
            return (restore_image(np.asarray(outputs)),)
        y, dx, dkernel = (np.asarray(array) for array in outputs)
        return restore_image(y), restore_image(dx), restore_kernel(dkernel)

    memory: Any = program.memory_analysis()
    temporary = total = None
    if memory is not None:
        temporary = memory.temp_size_in_bytes
        total = temporary + memory.argument_size_in_bytes + memory.output_size_in_bytes
    return Prepared(lambda: jax.block_until_ready(program(*operands)), results, seconds, temporary, total)
