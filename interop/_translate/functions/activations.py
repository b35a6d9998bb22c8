"""Activations, by the table that `from_torch` has too."""

from collections.abc import Callable
from typing import Any

from ..._from_torch.activations import ACTIVATIONS, ALONG_AN_AXIS, Activation
from ..._from_torch.spelling import shown
from ..code import call, method
from ..emitting import Emitter, Out
from ..emitting import dtype as written_dtype
from ..graph import Value
from ..orders import place
from ..written import name_of


def _activation(entry: Activation) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, *args: Any, inplace: bool = False, **given: Any) -> Out:
        _, named = shown(entry.apply(**dict(zip(entry.arguments, args, strict=False)), **given))
        return Out(call(name_of(entry.function), e.array(x), **named), e.order(x))

    return handle


def _along(entry: Activation) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Out:
        if dim is None:  # torch's own choice, which it warns of
            dim = 0 if x.ndim in (0, 1, 3) else 1
        axis = place(e.order(x), dim)
        array = e.array(x)
        if dtype is not None and str(dtype).removeprefix("torch.") != x.dtype:
            array = method(array, "astype", written_dtype(dtype))
        return Out(call(name_of(entry.function), array, **({} if axis == -1 else {"axis": axis})), e.order(x))

    return handle


def _threshold(e: Emitter, x: Value, threshold: float, value: float, inplace: bool = False) -> Out:
    return Out(call("functional.threshold", e.array(x), threshold, value), e.order(x))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{word: _activation(entry) for word, entry in ACTIVATIONS.items()},
    **{word: _along(entry) for word, entry in ALONG_AN_AXIS.items()},
    "threshold": _threshold,
}
