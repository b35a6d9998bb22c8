"""Normalisation with parameters that are not those of a layer, and the directions of vectors."""

import ast
from collections.abc import Callable, Sequence
from typing import Any

from ..code import Expression, call, operation
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import channels_last, plain
from .shapes import places


def _layer_norm(
    e: Emitter,
    x: Value,
    normalized_shape: Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Out:
    axes, own = _last(e, x, len(normalized_shape))
    more: dict[str, Any] = {} if axes == -1 else {"axes": axes}
    for word, value in (("weight", weight), ("bias", bias)):
        if value is not None:
            more[word] = e.array(value, own)
    more |= _epsilon(eps, 1e-5)
    return Out(call("functional.layer_norm", e.array(x), **more), e.order(x))


def _last(e: Emitter, x: Value, count: int) -> tuple[Any, tuple[int, ...]]:
    """Where torch's last axes are, and their order among one another."""
    first = x.ndim - count
    return places(e, x, -1 if count == 1 else [*range(first, x.ndim)]), tuple(
        axis - first for axis in e.order(x) if axis >= first
    )


def _rms_norm(
    e: Emitter, x: Value, normalized_shape: Sequence[int], weight: Value | None = None, eps: float | None = None
) -> Out:
    axes, _ = _last(e, x, len(normalized_shape))
    array = e.array(x)
    least: Any = eps
    if eps is None:
        least = ast.Attribute(call("jnp.finfo", ast.Attribute(array, "dtype", ast.Load())), "eps", ast.Load())
    mean = call("jnp.mean", call("jnp.square", array), axis=axes, keepdims=True)
    found = operation("*", array, call("jax.lax.rsqrt", operation("+", mean, least)))
    if weight is None:
        return Out(found, e.order(x))
    normed = Value(x.shape, x.dtype)
    e.set(normed, Out(found, e.order(x)))
    (left, right), order = e.aligned(normed, weight)
    return Out(operation("*", left, right), order)


def _group_norm(
    e: Emitter,
    x: Value,
    num_groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Out:
    order = channels_last(x.ndim)
    more = _given(e, weight=weight, bias=bias) | _epsilon(eps, 1e-5)
    return Out(call("functional.group_norm", e.array(x, order), e.number(num_groups), **more), order)


def _instance_norm(
    e: Emitter,
    x: Value,
    running_mean: Value | None = None,
    running_var: Value | None = None,
    weight: Value | None = None,
    bias: Value | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Out:
    if use_input_stats and running_mean is not None:
        raise Untranslatable("instance_norm that writes into its running statistics", "call it without them")
    order = channels_last(x.ndim)
    more = _given(e, weight=weight, bias=bias) | _epsilon(eps, 1e-5)
    if use_input_stats:
        return Out(call("functional.instance_norm", e.array(x, order), **more), order)
    more = _given(e, mean=running_mean, var=running_var) | more
    return Out(call("functional.batch_norm", e.array(x, order), **more), order)


def _batch_norm(
    e: Emitter,
    x: Value,
    running_mean: Value | None,
    running_var: Value | None,
    weight: Value | None = None,
    bias: Value | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Out:
    if training and running_mean is not None:
        raise Untranslatable(
            "batch_norm with training=True in evaluation, which writes into its running statistics",
            "use a BatchNorm layer",
        )
    order = channels_last(x.ndim)
    more = _given(e, mean=running_mean, var=running_var, weight=weight, bias=bias) | _epsilon(eps, 1e-5)
    return Out(call("functional.batch_norm", e.array(x, order), **more), order)


def _given(e: Emitter, **tensors: Value | None) -> dict[str, Expression]:
    return {word: e.array(value) for word, value in tensors.items() if value is not None}


def _epsilon(eps: float, default: float) -> dict[str, Any]:
    return {} if eps == default else {"eps": eps}


# Directions


def _normalize(e: Emitter, x: Value, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None) -> Out:
    axis = places(e, x, dim)
    more: dict[str, Any] = {} if p == 2 else {"p": p}
    more |= {} if axis == -1 else {"axis": axis}
    return Out(call("functional.normalize", e.array(x), **more, **_epsilon(eps, 1e-12)), e.order(x))


def _cosine_similarity(e: Emitter, x1: Value, x2: Value, dim: int = 1, eps: float = 1e-8) -> Out:
    (left, right), order = e.aligned(x1, x2)
    ndim = len(order)
    at = order.index(dim % ndim)
    more: dict[str, Any] = {} if at == ndim - 1 else {"axis": at}
    rest = tuple(axis - (axis > dim % ndim) for axis in order if axis != dim % ndim)
    return Out(call("functional.cosine_similarity", left, right, **more, **_epsilon(eps, 1e-8)), rest)


def _pairwise_distance(
    e: Emitter, x1: Value, x2: Value, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Out:
    orders = [plain(value.ndim) for value in (x1, x2)]
    more: dict[str, Any] = {} if p == 2 else {"p": p}
    more |= _epsilon(eps, 1e-6) | ({"keepdims": True} if keepdim else {})
    arrays = [e.array(value, order) for value, order in zip((x1, x2), orders, strict=True)]
    return Out(call("functional.pairwise_distance", *arrays, **more), plain(e.node.result.ndim))  # type: ignore[union-attr]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "batch_norm": _batch_norm,
    "normalize": _normalize,
    "cosine_similarity": _cosine_similarity,
    "pairwise_distance": _pairwise_distance,
}
