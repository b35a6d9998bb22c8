"""Functions that take weights as arguments: for parameters that are not those of a layer."""

from collections.abc import Callable
from typing import Any

import torch

from ..code import Expression, call, method, operation, subscript
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import Order, channels_last, plain
from .products import plus, turned


def _linear(e: Emitter, x: Value, weight: Value, bias: Value | None = None) -> Out:
    order = e.order(x) if e.order(x)[-1] == x.ndim - 1 else plain(x.ndim)
    array, kernel = e.array(x, order), e.array(weight)
    if weight.ndim == 1:
        made = Out(operation("@", array, kernel), order[:-1])
    else:
        embedding = e.layer(weight, torch.nn.Embedding)
        if embedding is not None:
            made = Out(method(embedding, "attend", array), order)
        else:
            kernel = turned(kernel, 2) if e.order(weight) == (0, 1) else kernel
            made = Out(operation("@", array, kernel), order)
    return made if bias is None else plus(e, made, bias)


def _embedding(
    e: Emitter,
    indices: Value,
    weight: Value,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Out:
    if max_norm is not None:
        raise Untranslatable(f"embedding with max_norm={max_norm} changes its weight", "set it to None")
    if indices.dtype == weight.dtype:  # torch.embedding has them the other way round
        indices, weight = weight, indices
    order = (*e.order(indices), indices.ndim)
    layer = e.layer(weight, torch.nn.Embedding)
    if layer is not None:
        return Out(call(layer, e.array(indices)), order)
    return Out(subscript(e.array(weight, (0, 1)), e.array(indices)), order)


def _maps(x: Value, spatial: int) -> Order:
    return channels_last(x.ndim) if x.ndim == spatial + 2 else (*range(1, x.ndim), 0)


def _conv(spatial: int) -> Callable[..., Any]:
    def handle(
        e: Emitter,
        x: Value,
        weight: Value,
        bias: Value | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Out:
        order = _maps(x, spatial)
        more = _changed(e, stride=(stride, 1), padding=(padding, 0), dilation=(dilation, 1), groups=(groups, 1))
        arrays = [e.array(x, order), e.array(weight, (*range(2, spatial + 2), 1, 0))]
        arrays += [] if bias is None else [e.array(bias)]
        return Out(call("functional.conv", *arrays, **more), order)

    return handle


def _conv_transpose(spatial: int) -> Callable[..., Any]:
    def handle(
        e: Emitter,
        x: Value,
        weight: Value,
        bias: Value | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Out:
        order = _maps(x, spatial)
        more = _changed(
            e,
            stride=(stride, 1),
            padding=(padding, 0),
            output_padding=(output_padding, 0),
            dilation=(dilation, 1),
            groups=(groups, 1),
        )
        arrays = [e.array(x, order), e.array(weight, (*range(2, spatial + 2), 0, 1))]
        arrays += [] if bias is None else [e.array(bias)]
        return Out(call("conv_transpose", *arrays, **more), order)

    return handle


def _changed(e: Emitter, **given: tuple[Any, Any]) -> dict[str, Expression]:
    """The arguments that are not their defaults, one number for the same on every axis."""
    found = {}
    for word, (value, default) in given.items():
        short = value[0] if isinstance(value, tuple | list) and len({*map(str, value)}) == 1 else value
        if short != default:
            found[word] = e.number(tuple(short) if isinstance(short, list) else short)
    return found


FUNCTIONS: dict[str, Callable[..., Any]] = {"linear": _linear, "embedding": _embedding}
for _n in (1, 2, 3):
    FUNCTIONS |= {f"conv{_n}d": _conv(_n), f"conv_transpose{_n}d": _conv_transpose(_n)}
