"""Classes of layers: what a compiler's program depends on, so that its distance from the roofline can be summed up."""

import math

from jax_tconv.benchmarks.layers import Layer

FEW_CHANNELS = 3
MANY_TAPS = 100


def kind(layer: Layer) -> str:
    """The class of a layer, by the first of its traits in this order."""
    if layer.groups > 1:
        return "depthwise" if layer.groups == layer.c_in == layer.c_out else "grouped"
    if max(layer.dilation) > 1:
        return "dilated"
    if min(layer.c_in, layer.c_out) <= FEW_CHANNELS:
        return f"{FEW_CHANNELS} channels or fewer"
    if math.prod(layer.kernel) > MANY_TAPS:
        return f"more than {MANY_TAPS} taps"
    if math.prod(layer.input) < min(layer.c_in, layer.c_out) and math.prod(layer.input) <= 16:
        return "few pixels"
    if all(k <= s for k, s in zip(layer.kernel, layer.stride, strict=True)):
        return f"nothing overlaps, {layer.ndim}-d"
    return f"{layer.ndim}-d"
