"""PyTorch's stft and istft: spectra of overlapping frames, and back."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jax_tconv._call.arguments import integer
from jax_tconv._functional.folding import added
from jax_tconv._functional.inputs import array, floats
from jax_tconv._functional.padding import pad


def stft(
    x: ArrayLike,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: ArrayLike | None = None,
    center: bool = True,
    pad_mode: Literal["constant", "reflect", "replicate", "circular"] = "reflect",
    normalized: bool = False,
    onesided: bool = True,
) -> jax.Array:
    """The spectra of overlapping frames of signals, with the values of PyTorch's `stft` with `return_complex=True`.

    Args:
      x: `(..., length)`, of a floating dtype, or with `onesided=False` a complex one; torch has at most one batch axis.
      n_fft: the length of a frame.
      hop_length: the steps between frames; None means `n_fft // 4`.
      win_length: the length of the window, in the middle of the frame; None means `n_fft`.
      window: `(win_length,)`, or None for ones.
      center: whether frame `i` has its middle at `i * hop_length`, and the signal is padded for that.
      pad_mode: how, under `pad`'s names.
      normalized: whether to divide by `n_fft ** 0.5`.
      onesided: whether only the frequencies up to half the rate are returned, which are all that a real signal has.

    Returns:
      A complex array of shape `(..., frequencies, frames)`, torch's axes: `n_fft // 2 + 1` frequencies, or `n_fft`.

    Raises:
      TypeError, ValueError: an argument of another form, or a signal shorter than a frame.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import stft
      >>> stft(jnp.ones(8), 4, center=False).shape, float(stft(jnp.ones(8), 4, center=False)[0, 0].real)
      ((3, 5), 4.0)
    """
    x = floats("x", x)
    hop, frame = _frame(n_fft, hop_length, win_length, window, x.dtype)
    if onesided and jnp.iscomplexobj(x):
        raise ValueError("onesided must be False for a complex x")
    if x.ndim < 1:
        raise ValueError("x must have shape (..., length), got ()")
    if center:
        x = pad(x, [(0, 0)] * (x.ndim - 1) + [(n_fft // 2, n_fft // 2)], pad_mode)
    if x.shape[-1] < n_fft:
        raise ValueError(f"n_fft must be at most the length of x and its padding, {x.shape[-1]}; got {n_fft}")
    starts = np.arange(0, x.shape[-1] - n_fft + 1, hop)
    frames = jnp.take(x, starts[:, None] + np.arange(n_fft), -1) * frame
    spectra = (jnp.fft.rfft if onesided else jnp.fft.fft)(frames, norm="ortho" if normalized else None)
    return jnp.swapaxes(spectra, -1, -2)


def istft(
    x: ArrayLike,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: ArrayLike | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool = True,
    length: int | None = None,
    return_complex: bool = False,
) -> jax.Array:
    """The signals whose frames have these spectra, as PyTorch's `istft`: the inverse of `stft`.

    Frames are multiplied by the window once more, added up where they overlap, and divided by the sum of the windows'
    squares. Where that is 0, torch refuses, and here the result is NaN.

    Args:
      x: `(..., frequencies, frames)`, complex.
      n_fft, hop_length, win_length, window, center, normalized, onesided: as in `stft`.
      length: of the signals, cut off or filled up with zeros at the end; None means all that the frames give, less
        what `center` has added.
      return_complex: whether the signals are complex, which needs `onesided=False`.

    Returns:
      An array of shape `(..., length)`.

    Raises:
      TypeError, ValueError: an argument of another form.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv.functional import istft, stft
      >>> x = jnp.arange(8.0)
      >>> bool(abs(istft(stft(x, 4), 4) - x).max() < 1e-5)
      True
    """
    x = array("x", x)
    hop, frame = _frame(n_fft, hop_length, win_length, window, jnp.finfo(x.dtype).dtype)
    frequencies = n_fft // 2 + 1 if onesided else n_fft
    if not jnp.iscomplexobj(x) or x.ndim < 2 or x.shape[-2] != frequencies:
        raise ValueError(
            f"x must be complex of shape (..., frequencies, frames) with {frequencies} frequencies for n_fft={n_fft}, "
            f"onesided={onesided}; got {x.dtype.name}{x.shape}"
        )
    if return_complex and onesided:
        raise ValueError("return_complex must be False where onesided is True: the signal is real")
    count = x.shape[-1]
    spectra, norm = jnp.swapaxes(x, -1, -2), "ortho" if normalized else None
    if return_complex:
        frames = jnp.fft.ifft(spectra, norm=norm)
    else:  # of which the first half of the frequencies says everything, and torch looks at no others
        frames = jnp.fft.irfft(spectra[..., : n_fft // 2 + 1], n_fft, norm=norm)
    rows = np.arange(count)[:, None] * hop + np.arange(n_fft)
    total = n_fft + hop * (count - 1)
    signal = added(frames * frame, x.ndim - 2, rows, total)
    weight = added(jnp.broadcast_to(frame**2, (count, n_fft)), 0, rows, total)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else total - start
    signal = signal[..., start:end] / weight[start:end]
    missing = 0 if length is None else length - signal.shape[-1]
    return pad(signal, [(0, 0)] * (signal.ndim - 1) + [(0, missing)])


def _frame(
    n_fft: int, hop_length: int | None, win_length: int | None, window: ArrayLike | None, dtype: jnp.dtype
) -> tuple[int, jax.Array]:
    """The step between frames, and the window in the middle of one."""
    integer("n_fft", n_fft, least=1)
    hop = n_fft // 4 if hop_length is None else hop_length
    size = n_fft if win_length is None else win_length
    integer("hop_length", hop, least=1)
    if integer("win_length", size, least=1) > n_fft:
        raise ValueError(f"win_length must be at most n_fft={n_fft}, got {size}")
    found = jnp.ones(size, jnp.finfo(dtype).dtype) if window is None else array("window", window)
    if found.shape != (size,):
        raise ValueError(f"window must be of shape ({size},), got {found.shape}")
    before = (n_fft - size) // 2
    return hop, jnp.pad(found, (before, n_fft - size - before))
