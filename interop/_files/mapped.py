"""The bytes of a file: read while it is parsed, mapped where a large array is to be a view of them.

Memory that is mapped kills the process if someone else has made the file shorter. So nothing here looks at it: what has
to be known of a file is read, and what is read of one that was made shorter is refused.
"""

import mmap
import os
import stat
import weakref
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .refusal import Refused

# Files up to this size are read instead of mapped, which is as fast, and safe for as long as the arrays are used.
SMALL = 16 * 2**20
_CUT = "is cut short: something else wrote to it while it was read; read it again"


class _File:
    """An open file of the size that it had when it was opened. It stays the same when a rename replaces it."""

    def __init__(self, file: BufferedReader) -> None:
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.is_small = self.size <= SMALL
        weakref.finalize(self, file.close)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        memory = np.empty(stop - start, np.uint8)
        self.file.seek(start)
        if self.file.readinto(memory.data) != stop - start:
            raise Refused(_CUT)
        return memory

    @cached_property
    def memory(self) -> NDArray[np.uint8]:
        """The whole file: in memory if it is small, or else mapped."""
        if self.is_small:
            memory = self.read(0, self.size)
            memory.flags.writeable = False
            return memory
        try:
            pages = mmap.mmap(self.file.fileno(), self.size, access=mmap.ACCESS_READ)
        except ValueError as error:  # shorter than that by now
            raise Refused(_CUT) from error
        return np.frombuffer(pages, np.uint8)


class Bytes:
    """A range of a file, which is sliced like `bytes`, and neither read nor mapped before that is asked for."""

    def __init__(self, file: _File, start: int, stop: int, alignment: int = 1) -> None:
        self._file, self._start, self._stop, self._alignment = file, start, stop, alignment

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, part: slice) -> "Bytes":
        start, stop, _ = part.indices(len(self))
        return Bytes(self._file, self._start + start, self._start + max(start, stop))

    def aligned(self, alignment: int) -> "Bytes":
        """The same bytes, whose memory will have that alignment."""
        return Bytes(self._file, self._start, self._stop, alignment)

    def tobytes(self) -> bytes:
        self._file.file.seek(self._start)
        content = self._file.file.read(len(self))
        if len(content) != len(self):
            raise Refused(_CUT)
        return content

    @cached_property
    def copied(self) -> NDArray[np.uint8]:
        """The bytes, read into memory once."""
        memory = self._read()
        memory.flags.writeable = False
        return memory

    @cached_property
    def truths(self) -> NDArray[np.bool_]:
        """Each byte as a bool, in memory: numpy takes none but 0 and 1 for one."""
        memory = self._read()
        truths = memory.view(np.bool_)
        np.not_equal(memory, 0, out=truths)
        truths.flags.writeable = False
        return truths

    @property
    def mapped(self) -> NDArray[np.uint8]:
        """The bytes as a part of the file's memory, or a copy if their address there lacks the alignment."""
        if self._start % self._alignment:
            return self.copied
        if not self._file.is_small and os.fstat(self._file.file.fileno()).st_size < self._stop:
            raise Refused(_CUT)
        return self._file.memory[self._start : self._stop]

    def _read(self) -> NDArray[np.uint8]:
        if self._file.is_small:
            return self._file.memory[self._start : self._stop].copy()
        return self._file.read(self._start, self._stop)


def map_file(path: Path) -> Bytes:
    """The bytes of a file. They stay the same when it is renamed, removed or replaced by a rename."""
    # Opening a pipe would wait for a writer.
    if not stat.S_ISREG(path.stat().st_mode):
        raise Refused("is not a regular file")
    file = _File(open(path, "rb"))  # noqa: SIM115 (it is open for as long as there are ranges of it)
    if not file.size:
        raise Refused("is not a checkpoint: it is empty")
    return Bytes(file, 0, file.size)


def view(
    raw: Bytes,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    offset: int = 0,
    strides: tuple[int, ...] | None = None,
    *,
    copy: bool = False,
) -> NDArray[Any]:
    """An array over `raw`, whose `offset` and `strides` count bytes; with `copy`, over a copy that all views share."""
    memory = raw.truths if dtype == np.bool_ else raw.copied if copy else raw.mapped
    return np.ndarray(shape, dtype, memory, offset, strides)


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
