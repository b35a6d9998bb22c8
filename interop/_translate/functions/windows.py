"""Functions of windows and maps: pooling, resizing, shuffling of pixels, and pads."""

from collections.abc import Callable
from typing import Any

from ..code import call
from ..emitting import Emitter, Out, Several, Untranslatable
from ..graph import Value
from ..orders import Order, channels_last, plain


def _sizes(value: Any, spatial: int) -> tuple[Any, ...]:
    if isinstance(value, tuple | list):
        return tuple(value) if len(value) == spatial else (value[0],) * spatial
    return (value,) * spatial


def _short(values: tuple[Any, ...]) -> Any:
    return values[0] if len(set(values)) == 1 else values


def _maps(x: Value, spatial: int) -> Order:
    """The order of a map with so many spatial axes, and with or without a batch."""
    return channels_last(x.ndim) if x.ndim == spatial + 2 else (*range(1, x.ndim), 0)


def _max_pool(spatial: int) -> Callable[..., Any]:
    def handle(
        e: Emitter,
        x: Value,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        order = _maps(x, spatial)
        window = _sizes(kernel_size, spatial)
        steps = window if stride is None or stride == [] else _sizes(stride, spatial)
        pads, holes = _sizes(padding, spatial), _sizes(dilation, spatial)
        array = e.array(x, order)
        more: dict[str, Any] = {"padding": _short(pads)} if any(pads) else {}
        more |= {"dilation": _short(holes)} if set(holes) != {1} else {}
        more |= {"ceil_mode": True} if ceil_mode else {}
        if return_indices:
            made = call("functional.max_pool_with_indices", array, _short(window), _short(steps), **more)
            return Several(made, [order, order])
        if ceil_mode or "dilation" in more or x.ndim != spatial + 2:
            return Out(call("functional.max_pool", array, _short(window), _short(steps), **more), order)
        if more:
            more = {"padding": tuple((rows, rows) for rows in pads)}
        strides = {} if set(steps) == {1} else {"strides": steps}
        return Out(call("nnx.max_pool", array, window, **strides, **more), order)

    return handle


def _avg_pool(spatial: int) -> Callable[..., Any]:
    def handle(
        e: Emitter,
        x: Value,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Out:
        order = _maps(x, spatial)
        window = _sizes(kernel_size, spatial)
        steps = window if stride is None or stride == [] else _sizes(stride, spatial)
        pads = _sizes(padding, spatial)
        array = e.array(x, order)
        if not (any(pads) or ceil_mode or divisor_override) and x.ndim == spatial + 2:
            strides = {} if set(steps) == {1} else {"strides": steps}
            return Out(call("nnx.avg_pool", array, window, **strides), order)
        more: dict[str, Any] = {"padding": _short(pads)} if any(pads) else {}
        more |= {"ceil_mode": True} if ceil_mode else {}
        more |= {} if count_include_pad else {"count_include_pad": False}
        more |= {"divisor_override": divisor_override} if divisor_override else {}
        return Out(call("functional.avg_pool", array, _short(window), _short(steps), **more), order)

    return handle


def _adaptive(kind: str, spatial: int) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, output_size: Any, return_indices: bool = False) -> Out:
        if return_indices:
            raise Untranslatable("indices of adaptive pooling", "pool with max_pool")
        order = _maps(x, spatial)
        sizes = _sizes(output_size, spatial)
        array = e.array(x, order)
        axes = tuple(range(x.ndim - 1 - spatial, x.ndim - 1))
        if all(size == 1 for size in sizes):
            return Out(call("jnp.mean" if kind == "avg" else "jnp.max", array, axis=axes, keepdims=True), order)
        return Out(call(f"functional.adaptive_{kind}_pool", array, e.number(_short(sizes))), order)

    return handle


def _unpool(spatial: int) -> Callable[..., Any]:
    def handle(
        e: Emitter,
        x: Value,
        indices: Value,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> Out:
        order = _maps(x, spatial)
        window = _sizes(kernel_size, spatial)
        steps = window if stride is None or stride == [] else _sizes(stride, spatial)
        pads = _sizes(padding, spatial)
        more: dict[str, Any] = {"padding": _short(pads)} if any(pads) else {}
        if output_size is not None:
            more["output_size"] = e.number(tuple(output_size)[-spatial:])
        arrays = e.array(x, order), e.array(indices, order)
        return Out(call("functional.max_unpool", *arrays, _short(window), _short(steps), **more), order)

    return handle


def _interpolate(
    e: Emitter,
    x: Value,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Out:
    spatial = x.ndim - 2
    order = channels_last(x.ndim)
    more: dict[str, Any] = {}
    if size is not None:
        sizes = _sizes(size, spatial)
        more["size"] = e.number(sizes if len(set(map(str, sizes))) > 1 or not isinstance(size, int) else sizes[0])
    else:
        scales = _sizes(scale_factor, spatial)
        short = _short(tuple(int(one) if float(one).is_integer() else one for one in scales))
        more["scale_factor"] = e.number(short)
    if mode != "nearest":
        more["mode"] = mode
    more |= {"align_corners": True} if align_corners else {}
    more |= {"recompute_scale_factor": True} if recompute_scale_factor else {}
    more |= {"antialias": True} if antialias else {}
    return Out(call("functional.interpolate", e.array(x, order), **more), order)


def _upsample(
    e: Emitter, x: Value, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: Any = None
) -> Out:
    return _interpolate(e, x, size, scale_factor, mode, align_corners)


def _shuffle(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, factor: int | None = None, **named: Any) -> Out:
        order = _maps(x, 2)
        return Out(call(function, e.array(x, order), next(iter(named.values()), factor)), order)

    return handle


_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _pad(e: Emitter, x: Value, pad: Any, mode: str = "constant", value: float | None = None) -> Out:
    pairs = [(0, 0)] * x.ndim
    # torch lists the last axis first.
    for n in range(len(pad) // 2):
        pairs[x.ndim - 1 - n] = (pad[2 * n], pad[2 * n + 1])
    order = e.order(x)
    widths = tuple(pairs[axis] for axis in order)
    if all(not isinstance(width, Value) and width == 0 for pair in widths for width in pair):
        return Out(e.array(x), order)
    negative = any(width < 0 for pair in widths for width in pair)
    number = {} if not value else {("value" if negative else "constant_values"): value}
    if negative:
        kind = {} if mode == "constant" else {"mode": mode}
        return Out(call("functional.pad", e.array(x), e.number(widths), **kind, **number), order)
    kind = {} if mode == "constant" else {"mode": _MODES[mode]}
    if mode == "constant" and not value:
        number = {}
    return Out(call("jnp.pad", e.array(x), _widths(e, widths), **kind, **number), order)


def _widths(e: Emitter, widths: Any) -> Any:
    import ast

    return ast.Tuple([e.number(pair) for pair in widths], ast.Load())


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "interpolate": _interpolate,
    "upsample": _upsample,
    "pixel_shuffle": _shuffle("functional.pixel_shuffle"),
    "pixel_unshuffle": _shuffle("functional.pixel_unshuffle"),
    "channel_shuffle": _shuffle("functional.channel_shuffle"),
    "pad": _pad,
}
for _n in (1, 2, 3):
    FUNCTIONS |= {
        f"max_pool{_n}d": _max_pool(_n),
        f"max_pool{_n}d_with_indices": lambda e, *args, _n=_n, **kwargs: _max_pool(_n)(
            e, *args, **{**kwargs, "return_indices": True}
        ),
        f"avg_pool{_n}d": _avg_pool(_n),
        f"adaptive_avg_pool{_n}d": _adaptive("avg", _n),
        f"adaptive_max_pool{_n}d": _adaptive("max", _n),
        f"max_unpool{_n}d": _unpool(_n),
    }
_ = plain
