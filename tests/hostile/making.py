"""What a hostile file is: a name, and a function that makes it in an empty folder and returns what to open."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from tests.pickling import write_legacy, write_zip

Make: TypeAlias = Callable[[Path], Path]
Files: TypeAlias = Iterator[tuple[str, Make]]


def pickled(value: Callable[[bool], bytes], legacy: bool = False, **options) -> Make:
    """A file of `torch.save` with the pickled value that a function makes, which is told whether it is a legacy one.

    It has a storage if the value names one.
    """

    def make(folder):
        content = value(legacy)
        storages = {} if b"torch\nFloatStorage" in content else {"storages": {}}
        (write_legacy if legacy else write_zip)(folder / "x.pt", content, **storages | options)
        return folder / "x.pt"

    return make


def either(name: str, value: Callable[[bool], bytes]) -> Files:
    """A file in one of torch's two formats, by turns."""
    legacy = bool(len(name) % 2)
    yield f"{name} ({'legacy' if legacy else 'zip'})", pickled(value, legacy)


def filled(first: bytes, often: bytes, last: bytes = b"", megabytes: float = 8) -> bytes:
    """As much of `often` as fits into so many megabytes, between the two others."""
    return first + often * int(megabytes * 10**6 / len(often)) + last
