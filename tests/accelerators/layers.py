"""The layers that are compiled: those of published networks, and odd ones."""

import dataclasses

from jax_tconv.benchmarks import layers
from jax_tconv.benchmarks.layers import Layer
from tests.accelerators.odd_layers import ODD

LAYERS: list[Layer] = [*layers.load(), *ODD]


def find(name: str, batch: int | None = None) -> Layer:
    """The layer of this name, with this batch in place of its own."""
    layer = next(layer for layer in LAYERS if layer.name == name)
    return dataclasses.replace(layer, batch=batch or layer.batch)


def roofline(layer: Layer, dtype: str, peak: float, bandwidth: float) -> float:
    """The least seconds that an op of the layer takes: the larger of its flops and the bytes of its three arrays."""
    nbytes = layer.traffic("forward") * (2 if dtype == "bfloat16" else 4) // 4
    return max(layer.flops("forward") / peak, nbytes / bandwidth)
