"""safetensors files."""

import json
import os
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import accumulate
from operator import mul
from pathlib import Path
from typing import Any

import safetensors

from .._tensors import DTYPES
from .._text import plain
from .mapped import map_file
from .refusal import Refused
from .torch_tensors import Storage, Tensor

MOST_HEADER = 32 * 2**20
LENGTH = struct.Struct("<Q")

# The format's names of the dtypes, by ours.
_PAIRS = """
    bool=BOOL uint8=U8 int8=I8 uint16=U16 int16=I16 uint32=U32 int32=I32 uint64=U64 int64=I64
    float16=F16 bfloat16=BF16 float32=F32 float64=F64 complex64=C64 float8_e4m3fn=F8_E4M3
    float8_e4m3fnuz=F8_E4M3FNUZ float8_e5m2=F8_E5M2 float8_e5m2fnuz=F8_E5M2FNUZ float8_e8m0fnu=F8_E8M0
"""
NAMES: dict[str, str] = dict(pair.split("=") for pair in _PAIRS.split())
_DTYPES = {theirs: DTYPES[ours] for ours, theirs in NAMES.items()}


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors, which can be views of the file. (The library's reader copies them, and lacks float8 in numpy.)"""
    raw = map_file(path)
    (length,) = LENGTH.unpack(raw[: LENGTH.size].tobytes())
    if length > MOST_HEADER:
        raise Refused(
            f"is not a readable safetensors file: it begins with its header's length, which cannot be {length:,} bytes"
        )
    start = LENGTH.size + length
    head = raw[:start].tobytes()
    try:
        with _stand_in(path, head, len(raw)) as opened, safetensors.safe_open(opened, framework="numpy") as file:
            file.keys()  # every size and offset is checked by now
    except (safetensors.SafetensorError, OSError) as error:
        detail = plain(str(error), 200)
        raise Refused(f"is not a readable safetensors file, but broken or cut short: {detail}") from error
    header = json.loads(head[LENGTH.size :], object_pairs_hook=unique)
    tensors = {}
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        if tensor["dtype"] not in _DTYPES:
            raise Refused(f"holds {plain(name)} as {plain(tensor['dtype'])}, which numpy has no type for")
        dtype = _DTYPES[tensor["dtype"]]
        begin, end = tensor["data_offsets"]
        content = raw[start + begin : start + end].aligned(dtype.alignment)
        shape = tuple(tensor["shape"])
        strides = tuple(accumulate(shape[:0:-1], mul, initial=1))[::-1] if shape else ()
        tensors[name] = Tensor(Storage(dtype, end - begin, content), dtype, 0, shape, strides, False, False)
    return tensors


@contextmanager
def _stand_in(path: Path, head: bytes, size: int) -> Iterator[Path]:
    """A file of that size which begins with `head`, and which nothing else can make shorter while the library maps it.

    The rest of it are holes, which take no memory. Where the system has no such files, it is `path` itself.
    """
    with ExitStack() as stack:
        stand_in = path
        # OSError: the user may not make files that large.
        with suppress(AttributeError, OSError):
            file = stack.enter_context(open(os.memfd_create("header"), "wb", buffering=0))
            file.write(head)
            file.truncate(size)
            named = Path(f"/proc/self/fd/{file.fileno()}")
            stand_in = named if named.exists() else path
        yield stand_in


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads`: a dict of pairs whose keys all differ."""
    result = dict(pairs)
    if len(result) != len(pairs):
        [(often, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise Refused(f"is broken: it has {plain(often)} twice")
    return result
