"""Functions that make tensors: of zeros, of numbers in a row, of what is given."""

import ast
from collections.abc import Callable
from typing import Any

import numpy as np

from ..code import Expression, call, method, subscript
from ..emitting import Emitter, Out, Several, Untranslatable, dtype, unlike, written
from ..graph import Value, leaves, values
from ..orders import Order, plain
from ..sizes import AxisSize, is_traced
from .indices import known_values
from .shapes import spread


def _result(e: Emitter) -> Value:
    result: Value = e.node.result  # type: ignore[union-attr]
    return result


def _dtype(e: Emitter, kind: type) -> dict[str, Expression]:
    """The argument `dtype`, unless it is what JAX takes for numbers of this kind; float32 is how JAX has floats."""
    wanted = _result(e).dtype
    return unlike("float64" if wanted == "float32" else wanted, kind)


def _shape(e: Emitter, sizes: tuple[Any, ...]) -> tuple[Expression, Order]:
    """The shape of a new tensor as JAX takes it, and its order: that of the tensor whose sizes it has."""
    order = plain(len(sizes))
    sources = [size.source for size in sizes if is_traced(size) and isinstance(size.source, AxisSize)]
    like = {e.order(source.value) for source in sources if source.value.ndim == len(sizes)}
    own_axes = all(size.source.axis == n for n, size in enumerate(sizes) if is_traced(size) and size.source in sources)
    if len(like) == 1 and own_axes and len({source.axis for source in sources}) > 1:
        (order,) = like
    return e.number(tuple(sizes[axis] for axis in order)), order


def _filled(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, *size: Any, **named: Any) -> Out:
        return _made_of(e, function, spread(size or (named["size"],)))

    return handle


def _made_of(e: Emitter, function: str, sizes: tuple[Any, ...], *fill: Any) -> Out:
    shape, order = _shape(e, sizes)
    kind = _kind(fill[0]) if fill else float
    return Out(call(function, shape, *map(e.number, fill), **_dtype(e, kind)), order)


def _kind(number: Any) -> type:
    """What kind of number something is."""
    if isinstance(number, Value):
        return float if "float" in number.dtype else bool if number.dtype == "bool" else int
    return next((kind for kind in (bool, int, float) if isinstance(number, kind)), complex)


def _new(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, *size: Any, **named: Any) -> Out:
        return _made_of(e, function, spread(size or (named["size"],)))

    return handle


def _full(e: Emitter, size: Any, fill_value: Any, **named: Any) -> Out:
    return _made_of(e, "jnp.full", tuple(size), fill_value)


def _new_full(e: Emitter, x: Value, size: Any, fill_value: Any, **named: Any) -> Out:
    return _made_of(e, "jnp.full", tuple(size), fill_value)


def _like(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, *fill: Any, **named: Any) -> Out:
        given = [e.number(one) for one in (*fill, *([named["fill_value"]] if "fill_value" in named else []))]
        kind = _result(e).dtype
        more = {} if kind == x.dtype else {"dtype": dtype(kind)}
        return Out(call(function, e.array(x), *given, **more), e.order(x))

    return handle


def _arange(e: Emitter, *bounds: Any, **named: Any) -> Out:
    words = ("end",) if len(bounds) == 1 and "end" not in named else ("start", "end", "step")
    given = dict(zip(words, bounds, strict=False)) | {word: named[word] for word in words if word in named}
    given |= {word: named[word] for word in ("start", "end", "step") if word in named}
    if any(isinstance(bound, Value) for bound in given.values()):
        raise Untranslatable("the length of arange depends on the values of a tensor", "use a size or a number")
    start, step = given.get("start", 0), given.get("step", 1)
    written_bounds = [start, given["end"], step] if is_traced(step) or step != 1 else [start, given["end"]]
    if len(written_bounds) == 2 and not is_traced(start) and start == 0:
        written_bounds.pop(0)
    kind = float if any(isinstance(bound, float) for bound in written_bounds) else int
    return Out(call("jnp.arange", *map(e.number, written_bounds), **_dtype(e, kind)), (0,))


def _spaced(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, start: Any, end: Any, steps: Any, base: float = 10.0, **named: Any) -> Out:
        more: dict[str, Any] = {} if base == 10.0 else {"base": base}
        return Out(call(function, *map(e.number, (start, end, steps)), **more, **_dtype(e, float)), (0,))

    return handle


def _eye(e: Emitter, n: Any, m: Any = None, **named: Any) -> Out:
    sizes = [n] if m is None else [n, m]
    return Out(call("jnp.eye", *map(e.number, sizes), **_dtype(e, float)), (0, 1))


def _tensor(e: Emitter, data: Any, dtype: Any = None, device: Any = None, **named: Any) -> Out:
    return _of_data(e, data)


def _new_tensor(e: Emitter, x: Value, data: Any, **named: Any) -> Out:
    return _of_data(e, data)


def _of_data(e: Emitter, data: Any) -> Out:
    result = _result(e)
    if isinstance(data, Value):
        array = e.array(data)
        return Out(array if data.dtype == result.dtype else method(array, "astype", dtype(result.dtype)), e.order(data))
    known = known_values(result)
    if known is not None and not values(data) and not _traced(data):
        return Out(written(known), plain(result.ndim))
    if isinstance(data, np.ndarray | np.generic):
        raise Untranslatable("it makes a tensor of a large array of numpy", "register it as a buffer")
    return Out(call("jnp.array", _nested(e, data), **_dtype(e, _kind_of_all(data))), plain(result.ndim))


def _kind_of_all(data: Any) -> type:
    kinds = [_kind(leaf) for _, leaf in leaves(data)]
    return max(kinds, key=(bool, int, float, complex).index, default=float)


def _traced(data: Any) -> bool:
    return any(map(_traced, data)) if isinstance(data, list | tuple) else is_traced(data)


def _nested(e: Emitter, data: Any) -> Expression:
    if isinstance(data, list | tuple):
        return ast.List([_nested(e, item) for item in data], ast.Load())
    return e.array(data)


# Grids


def _meshgrid(e: Emitter, *tensors: Any, indexing: str = "ij") -> Any:
    given = spread(tensors)
    if any(value.ndim != 1 for value in given):
        raise Untranslatable("meshgrid of numbers", "give them an axis")
    found = call("jnp.meshgrid", *map(e.array, given), **({} if indexing == "xy" else {"indexing": indexing}))
    return Several(found, [plain(len(given))] * len(given))


def _cartesian_prod(e: Emitter, *tensors: Any) -> Out:
    given = spread(tensors)
    if len(given) == 1:
        return Out(e.array(given[0]), (0,))
    grid = call("jnp.meshgrid", *map(e.array, given), indexing="ij")
    return Out(method(call("jnp.stack", grid, axis=-1), "reshape", -1, len(given)), (0, 1))


def _one_hot(e: Emitter, x: Value, num_classes: Any = -1) -> Out:
    if not is_traced(num_classes) and num_classes == -1:
        raise Untranslatable("the number of classes of one_hot depends on values", "give it num_classes")
    found = call("jax.nn.one_hot", e.array(x), e.number(num_classes), dtype=dtype("int64"))
    return Out(found, (*e.order(x), x.ndim))


def _triangle_indices(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, row: Any, col: Any, offset: int = 0, **named: Any) -> Out:
        more: dict[str, Any] = {"k": e.number(offset)} if offset else {}
        more |= {"m": e.number(col)} if is_traced(row) or is_traced(col) or row != col else {}
        found = call("jnp.stack", call(function, e.number(row), **more))
        return Out(found, (0, 1))

    return handle


def _window(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, window_length: Any, periodic: bool = True, *shape: float, **named: Any) -> Out:
        shape += tuple(named[word] for word in ("beta", "alpha") if word in named)
        if function == "jnp.kaiser":
            shape = shape or (12.0,)
        elif shape in ((), (0.54,), (0.54, 0.46)):
            shape = ()
        else:
            raise Untranslatable("a window of another shape than usual", "register it as a buffer")
        if window_length == 1:
            return Out(call("jnp.ones", (1,)), (0,))
        found = call(function, e.number(window_length + 1 if periodic else window_length), *shape)
        return Out(subscript(found, slice(None, -1)) if periodic else found, (0,))

    return handle


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "zeros": _filled("jnp.zeros"),
    "ones": _filled("jnp.ones"),
    "empty": _filled("jnp.zeros"),
    "full": _full,
    "new_zeros": _new("jnp.zeros"),
    "new_ones": _new("jnp.ones"),
    "new_empty": _new("jnp.zeros"),
    "new_full": _new_full,
    "new_tensor": _new_tensor,
    "zeros_like": _like("jnp.zeros_like"),
    "ones_like": _like("jnp.ones_like"),
    "empty_like": _like("jnp.zeros_like"),
    "full_like": _like("jnp.full_like"),
    "arange": _arange,
    "linspace": _spaced("jnp.linspace"),
    "logspace": _spaced("jnp.logspace"),
    "eye": _eye,
    "tensor": _tensor,
    "as_tensor": _tensor,
    "asarray": _tensor,
    "scalar_tensor": _tensor,
    "meshgrid": _meshgrid,
    "cartesian_prod": _cartesian_prod,
    "one_hot": _one_hot,
    "tril_indices": _triangle_indices("jnp.tril_indices"),
    "triu_indices": _triangle_indices("jnp.triu_indices"),
    "hann_window": _window("jnp.hanning"),
    "hamming_window": _window("jnp.hamming"),
    "blackman_window": _window("jnp.blackman"),
    "bartlett_window": _window("jnp.bartlett"),
    "kaiser_window": _window("jnp.kaiser"),
}
