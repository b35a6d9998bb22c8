"""Parts of hostile files that the fuzzer mixes into others; most are harmless where they happen to fit."""

import json
import struct

from tests.pickling import call, integer, integers, items, name, storage, string, tensor

_PRIME = 2**61 - 1  # Python's ints hash by their remainder
_REBUILD = name("torch._utils._rebuild_tensor_v2")
_HOSTILE = ["a\x1b[31mb", "a\x1b]0;x\x07", "a\nall is well", "a\u202eb", "a\ud800b", "a\0b", "x" * 5_000, "🙂" * 2_000]


def _put(number):
    return b"q" + bytes([number])


def _get(number):
    return b"h" + bytes([number])


# Operations, most of which leave one value on the stack; some name what others have put into the memo.
OPERATIONS = [
    # A long tuple, and calls with it.
    b"(" + b"N" * 20_000 + b"t" + _put(200),
    (_REBUILD + _get(200) + b"R0") * 50 + b"N",
    (name("collections.OrderedDict") + _get(200) + b"R0") * 50 + b"N",
    # A long name, as a type, as a dtype and again and again.
    name(f"torch.{'x' * 900}Storage") + _put(201),
    (items(string("storage"), _get(201), string("0"), string("cpu"), integer(4)) + b"Q0") * 20 + b"N",
    name("torch." + "x" * 2_000),
    # Keys that collide, and long ones that are equal.
    b"}(" + b"".join(integer(number * _PRIME) + b"N" for number in range(1, 200)) + b"u",
    b"}(" + b"".join(integer(number << 20) + b"N" for number in range(1, 200)) + b"u",
    string("k" * 3_000) + _put(202),
    string("k" * 3_000) + _put(203) + b"0}" + (_get(202) + b"Ns" + _get(203) + b"Ns") * 50,
    b"N" + b"r" + struct.pack("<I", 2**20),
    # Expanded tensors.
    *(tensor(shape=shape, strides=(0,) * len(shape)) for shape in ((2**26,), (2**20, 2**20), (1,) * 64, (2**40, 0))),
    *(tensor(storage("torch.BoolStorage", numel=16), shape=(2**size,), strides=(0,)) for size in (20, 24, 27)),
    tensor(storage(legacy=True), shape=(2**26,), strides=(0,)),
    _REBUILD + items(storage(), integer(0), integers((2**47,) * 3), integers((0,) * 3), b"\x89", b"N") + b"R",
    # Nested and shared.
    b"]" * 1_000 + b"a" * 999,
    b")" + b"\x85" * 1_000,
    b")" + (_put(204) + _get(204) + b"\x86") * 60,
    b"}" + _put(205) + string("a") + _get(205) + b"s",
    call("x.Module") + b"}(" + string("_parameters") + b"}" + string("_buffers") + b"}" + string("_modules") + b"}ub",
    b"](" + b"]" * 2_000 + b"e",
    # Texts that steer a terminal, as names and as keys.
    *(string(text) for text in _HOSTILE),
    *(b"}" + string(text) + tensor() + b"s" for text in _HOSTILE),
    *(string("torch") + string(text) + b"\x93" for text in _HOSTILE),
    *(string("x") + string(text) + b"\x93)R" for text in _HOSTILE),
]
_ENTRIES = [
    {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]},
    {"dtype": "F32", "shape": [0, 2**40], "data_offsets": [0, 0]},
    {"dtype": "F32", "shape": [1] * 70, "data_offsets": [0, 4]},
    "model-1.safetensors",
]
# Items of the JSON of a header or an index.
ITEMS = [f"{json.dumps(text)}:{json.dumps(entry)},".encode() for text in _HOSTILE for entry in _ENTRIES]
SIZES = [0, 1, 2**31, 2**32 - 2, 2**33, 2**40]


def mixed_in(content, rng):
    """`content` with one of these somewhere: after something was put into a pickle's memo, or before a name."""
    is_text = content.lstrip()[:1] == b"{"
    part = rng.choice(ITEMS) if is_text else rng.choice(OPERATIONS)
    marks = [b'"'] if is_text else [b"q", b"r", b"\x94", b"("]
    at = content.find(rng.choice(marks), rng.randrange(len(content) + 1))
    if at < 0:
        at = 1 if is_text else 2
    elif not is_text:
        at += {ord("q"): 2, ord("r"): 5}.get(content[at], 1)
    more = b"" if is_text else rng.choice([b"", b"0", b"0"])
    return content[:at] + (part + more) * rng.choice([1, 1, 1, 3, 40]) + content[at:]
