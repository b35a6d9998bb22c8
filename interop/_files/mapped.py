"""Files as read-only memory, which the operating system loads and evicts as it likes."""

import mmap
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .refusal import Refused

Bytes = NDArray[np.uint8]


def map_file(path: Path) -> Bytes:
    """The bytes of a file. They stay the same when it is renamed, removed or replaced by a rename."""
    # Opening a pipe would wait for a writer.
    if not stat.S_ISREG(path.stat().st_mode):
        raise Refused("is not a regular file")
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise Refused("is not a checkpoint: it is empty")
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def aligned(raw: Bytes, alignment: int) -> Bytes:
    """`raw`, or a copy if its address does not have that alignment."""
    return raw if raw.ctypes.data % alignment == 0 else raw.copy()


def view(
    raw: Bytes, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int = 0, strides: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """An array over `raw`, whose `offset` and `strides` count bytes. Bools are copied, each as a 0 or 1."""
    if dtype == np.bool_:
        return np.asarray(np.ndarray(shape, np.uint8, raw, offset, strides) != 0)
    return np.ndarray(shape, dtype, raw, offset, strides)


def release(array: NDArray[Any]) -> None:
    """Takes the pages that reading a view of a file has loaded out of memory; they are loaded again when it is used.

    Other arrays are left alone.
    """
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    held = root.base.obj if isinstance(root.base, memoryview) else None
    if isinstance(held, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") and array.size:
        low, high = np.lib.array_utils.byte_bounds(array)
        start = (low - root.ctypes.data) // mmap.PAGESIZE * mmap.PAGESIZE
        held.madvise(mmap.MADV_DONTNEED, start, high - root.ctypes.data - start)
