"""PyTorch, in both of its layouts; also the judge of everybody's values."""

import functools

import numpy as np
import torch

from ..layers import Arrays, Layer
from .contestant import Contestant, NotApplicable, Prepared
from .layout import Layout

LAYOUT = Layout("n c ...", "(g i) o ...")

CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


def contestants() -> list[Contestant]:
    """One for each layout."""
    names = {"torch NCHW": False, "torch NHWC": True}
    return [Contestant(name, "torch", functools.partial(_prepare, last)) for name, last in names.items()]


def reference(layer: Layer, mode: str, arrays: Arrays) -> tuple[np.ndarray, ...]:
    """The values that the others are judged by: float32, on the CPU, in torch's own layout."""
    return _program(layer, mode, arrays, "cpu", torch.contiguous_format).results()


def _prepare(channels_last: bool, layer: Layer, mode: str, arrays: Arrays) -> Prepared:
    if channels_last and layer.ndim not in CHANNELS_LAST:
        raise NotApplicable("torch has no channels-last layout for one spatial axis")
    memory_format = CHANNELS_LAST[layer.ndim] if channels_last else torch.contiguous_format
    return _program(layer, mode, arrays, "cuda" if torch.cuda.is_available() else "cpu", memory_format)


def _program(layer: Layer, mode: str, arrays: Arrays, device: str, memory_format: torch.memory_format) -> Prepared:
    if layer.ndim > 3:
        raise NotApplicable("torch has one to three spatial axes")
    function = functools.partial(getattr(torch.nn.functional, f"conv_transpose{layer.ndim}d"), **layer.arguments)
    training = mode == "training"
    x, weight, g = (
        torch.from_numpy(array).to(device).contiguous(memory_format=memory_format)
        for array in LAYOUT.from_ours(layer, arrays)
    )
    x.requires_grad_(training)
    weight.requires_grad_(training)

    def run() -> tuple[torch.Tensor, ...]:
        if training:
            y = function(x, weight)
            return y, *torch.autograd.grad(y, (x, weight), g)
        with torch.inference_mode():
            return (function(x, weight),)

    def call() -> None:
        run()
        if device == "cuda":
            torch.cuda.synchronize()

    def results() -> tuple[np.ndarray, ...]:
        return LAYOUT.to_ours(layer, *(tensor.detach().cpu().numpy() for tensor in run()))

    return Prepared(call, results)
