"""Fourier transforms, and complex numbers as pairs of real ones."""

from collections.abc import Callable
from typing import Any

from ..code import call, operation, subscript
from ..emitting import Emitter, Out
from ..graph import Value
from ..orders import place


def _one_axis(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, n: Any = None, dim: int = -1, norm: str | None = None) -> Out:
        axis = place(e.order(x), dim)
        more: dict[str, Any] = {} if n is None else {"n": e.number(n)}
        more |= {} if axis == -1 else {"axis": axis}
        return Out(call(function, e.array(x), **more, **_norm(norm)), e.order(x))

    return handle


def _norm(norm: str | None) -> dict[str, str]:
    return {} if norm in (None, "backward") else {"norm": norm}


def _several_axes(function: str, usual: tuple[int, ...] | None) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, s: Any = None, dim: Any = usual, norm: str | None = None) -> Out:
        if dim is None and s is None and "r" not in function.removeprefix("jnp.fft."):
            return Out(call(function, e.array(x), **_norm(norm)), e.order(x))
        if dim is None:
            dim = tuple(range(x.ndim)) if s is None else tuple(range(-len(s), 0))
        axes = tuple(place(e.order(x), axis) for axis in ((dim,) if isinstance(dim, int) else dim))
        sizes: dict[str, Any] = {} if s is None else {"s": e.number(tuple(s))}
        return Out(call(function, e.array(x), **sizes, axes=axes, **_norm(norm)), e.order(x))

    return handle


def _shifted(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, x: Value, dim: Any = None) -> Out:
        axes = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
        found = tuple(place(e.order(x), axis) for axis in axes)
        more: dict[str, Any] = {} if dim is None else {"axes": found[0] if len(found) == 1 else found}
        return Out(call(function, e.array(x), **more), e.order(x))

    return handle


def _frequencies(function: str) -> Callable[..., Any]:
    def handle(e: Emitter, n: Any, d: float = 1.0, **named: Any) -> Out:
        return Out(call(function, e.number(n), **({} if d == 1.0 else {"d": d})), (0,))

    return handle


def _complex(e: Emitter, real: Value, imag: Value) -> Out:
    given, order = e.aligned(real, imag)
    return Out(call("jax.lax.complex", *given), order)


def _polar(e: Emitter, size: Value, angle: Value) -> Out:
    (length, turn), order = e.aligned(size, angle)
    return Out(operation("*", length, call("jnp.exp", operation("*", 1j, turn))), order)


def _as_real(e: Emitter, x: Value) -> Out:
    array = e.array(x)
    return Out(call("jnp.stack", [call("jnp.real", array), call("jnp.imag", array)], axis=-1), (*e.order(x), x.ndim))


def _as_complex(e: Emitter, x: Value) -> Out:
    order = (*(axis for axis in e.order(x) if axis != x.ndim - 1), x.ndim - 1)
    array = e.array(x, order)
    return Out(call("jax.lax.complex", subscript(array, (..., 0)), subscript(array, (..., 1))), order[:-1])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{word: _one_axis(f"jnp.fft.{word}") for word in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")},
    **{word: _several_axes(f"jnp.fft.{word}", (-2, -1)) for word in ("fft2", "ifft2", "rfft2", "irfft2")},
    **{word: _several_axes(f"jnp.fft.{word}", None) for word in ("fftn", "ifftn", "rfftn", "irfftn")},
    **{word: _shifted(f"jnp.fft.{word}") for word in ("fftshift", "ifftshift")},
    **{word: _frequencies(f"jnp.fft.{word}") for word in ("fftfreq", "rfftfreq")},
    "complex": _complex,
    "polar": _polar,
    "view_as_real": _as_real,
    "view_as_complex": _as_complex,
}
