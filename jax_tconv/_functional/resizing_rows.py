"""Which rows, and how much of each, a row of an interpolated axis is made of: PyTorch's formulas, on ints.

They are those of aten/src/ATen/native/UpSample.h and cpu/UpSampleKernel.cpp, in the dtype in which torch computes them,
since rounding decides which row is nearest.
"""

from typing import Any

import numpy as np

from jax_tconv._functional.cubic import far, four_weights, near


def step(size: int, count: int, factor: float | None, align_corners: bool, dtype: Any) -> np.floating[Any]:
    """How many rows of the input lie between two of the output."""
    real = np.dtype(dtype).type
    if align_corners:
        return real(size - 1) / real(count - 1) if count > 1 else real(0)
    return real(size) / real(count) if factor is None else real(1 / factor)


def nearest(size: int, count: int, factor: float | None, exact: bool, small: bool, dtype: Any) -> np.ndarray:
    """The row that each row of the output is.

    torch has two kernels, which differ where a product rounds to an integer and, for tiny maps, where the given factor
    is not that of the sizes. `small` asks for that of images of at most 128 rows and columns together.
    """
    rows = np.arange(count)
    if small and not exact and count in (size, 2 * size):
        return rows * size // count
    distance = step(size, count, factor, False, np.float32 if small else dtype)
    real = type(distance)
    if not exact:
        places = rows.astype(real) * distance
    elif small:
        places = (rows + 0.5) * np.float64(distance)
    else:
        # Rounded once, since torch's machine code multiplies and subtracts in one instruction.
        source = ((rows + 0.5) * np.float64(distance) - 0.5).astype(real)
        places = np.maximum(source, 0).astype(np.float64) + 0.5
    return np.minimum(np.floor(places.astype(np.float32)).astype(int), size - 1)


def weighted(
    mode: str, size: int, count: int, distance: np.floating[Any], align_corners: bool, antialias: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The rows that each row of the output is the weighted sum of, and their weights: both `(count, taps)`."""
    real = type(distance)
    if count == size and (antialias or mode != "bicubic"):  # as in torch, even where the factor is not 1
        return np.arange(count)[:, None], np.ones((count, 1), real)
    if antialias:
        return _antialiased(mode, size, count, distance)
    index = np.arange(count).astype(real)
    source = distance * index if align_corners else distance * (index + real(0.5)) - real(0.5)
    if mode == "bicubic":
        first = np.minimum(np.floor(source).astype(int), size - 1)
        t = np.clip(source - first.astype(real), 0, 1)
        return np.clip(first[:, None] + np.arange(-1, 3), 0, size - 1), np.stack(four_weights(t), 1)
    source = np.maximum(source, 0)
    first = np.minimum(source.astype(int), size - 1)
    t = np.clip(source - first.astype(real), 0, 1)
    return np.stack([first, np.minimum(first + 1, size - 1)], 1), np.stack([1 - t, t], 1)


def _antialiased(mode: str, size: int, count: int, distance: np.floating[Any]) -> tuple[np.ndarray, np.ndarray]:
    """A filter as wide as the rows lie apart, cut off at the ends; the corners are never aligned."""
    real = type(distance)
    widening = max(distance, real(1))
    support = real(2 if mode == "bicubic" else 1) * widening
    centres = distance * (np.arange(count).astype(real) + real(0.5))
    first = np.maximum((centres - support + real(0.5)).astype(int), 0)
    end = np.minimum((centres + support + real(0.5)).astype(int), size)
    rows = first[:, None] + np.arange((end - first).max())
    t = np.abs((rows.astype(real) - centres[:, None] + real(0.5)) / widening)
    if mode == "bicubic":
        weights = np.where(t <= 1, near(t, -0.5), np.where(t < 2, far(t, -0.5), 0))
    else:
        weights = np.maximum(1 - t, 0)
    weights = np.where(rows < end[:, None], weights, 0)
    return np.minimum(rows, size - 1), weights / weights.sum(1, keepdims=True)
