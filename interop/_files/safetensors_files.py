"""safetensors files."""

import json
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import accumulate
from operator import mul
from pathlib import Path

import safetensors

from .._tensors import DTYPES
from .._text import plain
from .allowance import Allowance
from .json_texts import MOST_TEXT, is_endless, unique
from .mapped import map_file
from .refusal import Refused
from .torch_tensors import MOST_AXES, Storage, Tensor

# What a tensor has in a header, a dict with two lists in it and up to so many items; and what it takes.
_BRACKETS, _PARTS = 3, 16
_STEPS = 45
LENGTH = struct.Struct("<Q")

# The format's names of the dtypes, by ours.
_PAIRS = """
    bool=BOOL uint8=U8 int8=I8 uint16=U16 int16=I16 uint32=U32 int32=I32 uint64=U64 int64=I64
    float16=F16 bfloat16=BF16 float32=F32 float64=F64 complex64=C64 float8_e4m3fn=F8_E4M3
    float8_e4m3fnuz=F8_E4M3FNUZ float8_e5m2=F8_E5M2 float8_e5m2fnuz=F8_E5M2FNUZ float8_e8m0fnu=F8_E8M0
"""
NAMES: dict[str, str] = dict(pair.split("=") for pair in _PAIRS.split())
_DTYPES = {theirs: DTYPES[ours] for ours, theirs in NAMES.items()}


def read_safetensors(path: Path, allowance: Allowance) -> dict[str, Tensor]:
    """The tensors, which can be views of the file. (The library's reader copies them, and lacks float8 in numpy.)"""
    raw = map_file(path)
    (length,) = LENGTH.unpack(raw[: LENGTH.size].tobytes())
    if length > MOST_TEXT:
        raise Refused(
            f"is not a readable safetensors file: it begins with its header's length, which cannot be {length:,} bytes"
        )
    start = LENGTH.size + length
    text = raw[LENGTH.size : start].tobytes()
    most = allowance.most_tensors
    if is_endless(text, _BRACKETS * most + _BRACKETS, _PARTS * most):
        raise Refused(
            f"is not read: its header has more than {most:,} tensors, which no file of its size has, or endless texts"
        )
    try:
        with _stand_in(path, text, len(raw)) as opened, safetensors.safe_open(opened, framework="numpy") as file:
            file.keys()  # every size and offset is checked by now
    except (safetensors.SafetensorError, OSError) as error:
        detail = plain(str(error), 200)
        raise Refused(f"is not a readable safetensors file, but broken or cut short: {detail}") from error
    header = json.loads(text, object_pairs_hook=unique)
    allowance.take(_STEPS * len(header))
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
        if len(shape) > MOST_AXES:
            raise Refused(f"holds {plain(name)} with {len(shape):,} axes, which are more than numpy has")
        strides = tuple(accumulate(shape[:0:-1], mul, initial=1))[::-1] if shape else ()
        tensors[name] = Tensor(Storage(dtype, end - begin, content), dtype, 0, shape, strides, False, False)
    return tensors


@contextmanager
def _stand_in(path: Path, header: bytes, size: int) -> Iterator[Path]:
    """A file of that size with that header, which nothing else can make shorter while the library maps it.

    The rest of it are holes, which take no memory. Where the system has no such files, it is `path` itself.
    """
    with ExitStack() as stack:
        stand_in = path
        # OSError: the user may not make files that large.
        with suppress(AttributeError, OSError):
            file = stack.enter_context(open(os.memfd_create("header"), "wb", buffering=0))
            file.write(LENGTH.pack(len(header)))
            file.write(header)
            file.truncate(size)
            named = Path(f"/proc/self/fd/{file.fileno()}")
            stand_in = named if named.exists() else path
        yield stand_in
