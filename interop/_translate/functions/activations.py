"""Activations, by the table that `from_torch` has too."""

from collections.abc import Callable
from typing import Any

from ..._from_torch.activations import ACTIVATIONS, ALONG_AN_AXIS, Activation
from ..code import call, literal
from ..emitting import Emitter, Out
from ..graph import Value
from ..layers import spell_function
from ..orders import place


def _activation(entry: Activation) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, *args: Any, inplace: bool = False, **given: Any) -> Out:
        given = {**dict(zip(entry.arguments, args, strict=False)), **given}
        kwargs = dict(entry.apply(**given).kwargs)
        parameters = _defaults(entry.function)
        kwargs = {word: value for word, value in kwargs.items() if parameters.get(word, _NONE) != value}
        return Out(call(spell_function(entry.function), e.array(x), **kwargs), e.order(x))

    return handle


def _along(entry: Activation) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Out:
        if dim is None:  # torch's own choice, which it warns of
            dim = 0 if x.ndim in (0, 1, 3) else 1
        axis = place(e.order(x), dim)
        more = {} if axis == -1 else {"axis": axis}
        return Out(call(spell_function(entry.function), e.array(x), **more), e.order(x))

    return handle


_NONE = object()


def _defaults(function: Any) -> dict[str, Any]:
    import inspect

    return {word: one.default for word, one in inspect.signature(function).parameters.items()}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{word: _activation(entry) for word, entry in ACTIVATIONS.items()},
    **{word: _along(entry) for word, entry in ALONG_AN_AXIS.items()},
}
_ = literal
