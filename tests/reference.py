"""An independent judge: the three ops in numpy, float64, one tap and one group at a time, straight from the definition.

Input row i through tap t lands on full-output row i * stride + t * dilation; padding then removes rows from both ends.
It shares no code with the library, not even the arithmetic of the sizes.
"""

import itertools

import numpy as np


def conv_transpose(x, kernel, *, stride, padding, output_padding, dilation, groups):
    """y[n, *spatial, out] for x[n, *spatial, in], kernel[*k, in, out // groups]; padding is one pair an axis."""
    full, window = _full(x.shape[0], x.shape[1:-1], kernel, stride, padding, output_padding, dilation, groups)
    for rows, x_group, k_tap, channels in _taps(x.shape[1:-1], kernel, stride, dilation, groups):
        full[(slice(None), *rows, channels)] += _widen(x)[..., x_group] @ _widen(k_tap)
    return full[window]


def gradients(x, kernel, cotangent, *, stride, padding, output_padding, dilation, groups):
    """The cotangents of x and kernel."""
    full, window = _full(x.shape[0], x.shape[1:-1], kernel, stride, padding, output_padding, dilation, groups)
    full[window] = cotangent
    x_bar, k_bar = np.zeros(x.shape, full.dtype), np.zeros(kernel.shape, full.dtype)
    n_axes = kernel.ndim - 2
    for tap in np.ndindex(*kernel.shape[:n_axes]):
        for rows, x_group, k_tap, channels in _taps(x.shape[1:-1], kernel, stride, dilation, groups, [tap]):
            g = full[(slice(None), *rows, channels)]
            x_bar[..., x_group] += g @ _widen(k_tap).T
            axes = tuple(range(n_axes + 1))
            k_bar[tap][x_group] = np.tensordot(_widen(x)[..., x_group], g, axes=(axes, axes))
    return x_bar, k_bar


def _widen(array):
    return np.asarray(array).astype(np.complex128 if np.iscomplexobj(array) else np.float64)


def _full(batch, size, kernel, stride, padding, output_padding, dilation, groups):
    """A zero buffer for the whole output and any rows that negative padding adds, and the output's place in it."""
    shape, window = [], []
    for n, k, s, (low, high), extra, d in zip(
        size, kernel.shape, stride, padding, output_padding, dilation, strict=False
    ):
        whole = (n - 1) * s + d * (k - 1) + 1
        start, stop = low, whole - high + extra
        assert start >= 0, "rows added at the start: shift the problem instead"
        shape.append(max(whole, stop))
        window.append(slice(start, stop))
    dtype = np.complex128 if np.iscomplexobj(kernel) else np.float64
    return np.zeros((batch, *shape, kernel.shape[-1] * groups), dtype), (slice(None), *window, slice(None))


def _taps(size, kernel, stride, dilation, groups, taps=None):
    n_axes = kernel.ndim - 2
    c_in, c_out = kernel.shape[-2] // groups, kernel.shape[-1]
    for tap, group in itertools.product(taps or np.ndindex(*kernel.shape[:n_axes]), range(groups)):
        rows = [
            slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, size, stride, strict=True)
        ]
        x_group = slice(group * c_in, (group + 1) * c_in)
        yield rows, x_group, np.asarray(kernel)[tap][x_group], slice(group * c_out, (group + 1) * c_out)
