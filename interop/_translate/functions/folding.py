"""Patches of maps as vectors, and spectra of frames: what `unfold`, `fold`, `stft` and `istft` do."""

from collections.abc import Callable
from typing import Any

from ..code import call
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import channels_last, plain


def patches(e: Emitter, x: Value, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Out:
    """Each patch as a vector, channel by channel: torch's (N, C * rows * columns, patches), with the vectors last."""
    if x.ndim != 4:
        raise Untranslatable("unfold of maps without a batch", "add an axis for the batch before it")
    more = _unlike_ones(dilation=dilation, stride=stride) | ({} if padding in (0, (0, 0)) else {"padding": padding})
    return Out(call("functional.unfold", e.array(x, channels_last(4)), _given(e, kernel_size), **more), (0, 2, 1))


def _fold(
    e: Emitter,
    x: Value,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Out:
    if x.ndim != 3:
        raise Untranslatable("fold of patches without a batch", "add an axis for the batch before it")
    more = _unlike_ones(dilation=dilation, stride=stride) | ({} if padding in (0, (0, 0)) else {"padding": padding})
    sizes = _given(e, output_size), _given(e, kernel_size)
    return Out(call("functional.fold", e.array(x, (0, 2, 1)), *sizes, **more), channels_last(4))


def _unlike_ones(**given: Any) -> dict[str, Any]:
    return {word: value for word, value in given.items() if value not in (1, (1, 1), [1, 1])}


def _given(e: Emitter, value: Any) -> Any:
    return e.number(tuple(value) if isinstance(value, list) else value)


# The arguments of both transforms, and what they are where they are left out.
_USUAL: dict[str, Any] = {
    "hop_length": None, "win_length": None, "window": None, "center": True, "pad_mode": "reflect",
    "normalized": False, "onesided": True, "length": None, "return_complex": False,
}  # fmt: skip


def _stft(
    e: Emitter,
    x: Value,
    n_fft: Any,
    hop_length: Any = None,
    win_length: Any = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Out:
    if align_to_window:
        raise Untranslatable("stft with align_to_window", "set it to False")
    given = {"hop_length": hop_length, "win_length": win_length, "window": window, "center": center}
    given |= {"pad_mode": pad_mode, "normalized": normalized}
    given |= {"onesided": "complex" not in x.dtype if onesided is None else onesided}
    found = call("functional.stft", e.array(x, plain(x.ndim)), e.number(n_fft), **_named(e, given))
    order = plain(x.ndim + 1)
    result: Value = e.node.result  # type: ignore[union-attr]
    if result.ndim == x.ndim + 2:
        spectrum = e.temporary(found, "spectrum")
        pair = [call("jnp.real", spectrum), call("jnp.imag", spectrum)]
        return Out(call("jnp.stack", pair, axis=-1), (*order, x.ndim + 1))
    return Out(found, order)


def _istft(
    e: Emitter,
    x: Value,
    n_fft: Any,
    hop_length: Any = None,
    win_length: Any = None,
    window: Any = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: Any = None,
    return_complex: bool = False,
) -> Out:
    given = {"hop_length": hop_length, "win_length": win_length, "window": window, "center": center}
    given |= {"normalized": normalized, "onesided": onesided is not False, "length": length}
    given |= {"return_complex": return_complex}
    found = call("functional.istft", e.array(x, plain(x.ndim)), e.number(n_fft), **_named(e, given))
    return Out(found, plain(x.ndim - 1))


def _named(e: Emitter, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments that are not what they are where they are left out."""
    return {word: e.array(value) for word, value in given.items() if value != _USUAL[word]}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "im2col": patches,
    "fold": _fold,
    "col2im": _fold,
    "stft": _stft,
    "istft": _istft,
}
