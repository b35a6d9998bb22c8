"""Files that would fill memory, or never end. Each is refused soon, in a process that has little of either."""

import struct
import sys
import zipfile

import pytest

from jax_tconv import interop
from tests import limits
from tests.pickling import (
    call,
    dictionary,
    integer,
    items,
    name,
    refusal,
    safetensors_file,
    storage,
    string,
    tensor,
    write_legacy,
    write_zip,
)


def tower(height):
    """A tuple of a tuple of itself twice: hashing, comparing or printing it takes two to the power of its height."""
    return b")" + b"q\x01h\x01\x86" * height


def bombs(folder):
    """Each is small, and asks for gigabytes or for years."""
    paths = []

    def bomb(stem, value):
        for write in (write_zip, write_legacy):
            legacy = write is write_legacy
            paths.append(folder / f"{stem} {'legacy' if legacy else 'zip'}.pt")
            made = value(legacy=legacy) if callable(value) else value
            write(paths[-1], made, **({} if b"torch\nFloatStorage" in made else {"storages": {}}))

    with zipfile.ZipFile(folder / "deflated.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}.")
        archive.writestr("x/data/0", bytes(10**8))
    paths.append(folder / "deflated.pt")

    bomb("expanded", lambda legacy: dictionary({"a": tensor(shape=(2**20, 2**20), strides=(0, 0), legacy=legacy)}))
    many = lambda legacy: dictionary({f"{n}": tensor(shape=(2**24,), strides=(0,), legacy=legacy) for n in range(9)})
    bomb("expanded a little, often", many)
    bomb("a storage of petabytes", lambda legacy: dictionary({"a": tensor(storage(numel=2**47, legacy=legacy))}))
    bomb("a storage of a googol", lambda legacy: dictionary({"a": tensor(storage(numel=10**100, legacy=legacy))}))
    bomb("bytearray", call("builtins.bytearray", integer(10**12)))
    bomb("FloatTensor", call("torch.FloatTensor", integer(10**12)))
    bomb("a tower as a key", b"}" + tower(100) + integer(1) + b"s")
    bomb("a tower as a value", dictionary({"a": tower(100)}))
    bomb("a tower as a function", tower(100) + items() + b"R")
    towers = lambda legacy: (storage(legacy=legacy), integer(0), tower(100), b"h\x01")
    bomb("a tower as a shape", lambda legacy: call("torch._utils._rebuild_tensor_v2", *towers(legacy)))
    bomb("a tower in a set", b"\x8f(" + tower(100) + b"\x90")
    bomb("a tower of dicts", b"}q\x01" + (b"}(" + string("a") + b"h\x01" + string("b") + b"h\x01uq\x01") * 100)
    prime = 2**61 - 1  # Python's ints hash by their remainder
    bomb("keys that collide", b"}(" + b"".join(integer(n * prime) + b"N" for n in range(1, 60_000)) + b"u")
    pairs = b"](" + items(string("a"), b"N") * 20_000 + b"eq\x010"
    bomb("one list into many dicts", pairs + b"](" + (name("collections.OrderedDict") + b"h\x01\x85R") * 20_000 + b"e")
    nones = b"](" + b"N" * 10**5 + b"eq\x010"
    bomb("one list into many sizes", nones + b"](" + (name("torch.Size") + b"h\x01\x85R") * 20_000 + b"e")
    bomb("a tower of lists", b"]q\x010" + (b"](" + b"h\x01" * 900 + b"eq\x010") * 8 + b"h\x01")
    bomb("itself inside itself", b"}q\x01" + string("a") + b"h\x01s")
    bomb("lists in lists", b"]" * 100_000 + b"a" * 99_999)
    bomb("tuples in tuples", b")" + b"\x85" * 100_000)
    bomb("a large memo", b"]r\xff\xff\xff\xff")
    bomb("a long string that is not there", b"\x8d" + struct.pack("<Q", 2**40) + b"x")
    bomb("long bytes that are not there", b"\x8e" + struct.pack("<Q", 2**62) + b"x")
    bomb("a long int that is not there", b"\x8b" + struct.pack("<I", 2**31 - 1) + b"x")
    ints = b"(" + integer(256 ** (4 * 10**6)) + b"2" * 59 + b"t"
    views = lambda legacy: (storage(legacy=legacy), integer(0), ints, b"(" + integer(0) * 60 + b"t", b"\x89", b"N")
    bomb("ints to multiply", lambda legacy: dictionary({"a": call("torch._utils._rebuild_tensor_v2", *views(legacy))}))
    rebuild = "torch._tensor._rebuild_from_type_v2"
    calls = b"N"
    for _ in range(1000):
        calls = call(rebuild, name(rebuild), name("torch.Tensor"), items(calls), b"N")
    bomb("calls of calls", calls)
    return paths


def large_bombs(folder):
    """As many megabytes as are read of any file, which make as many objects as they can."""
    paths = [folder / name for name in ("operations.pt", "lists.pt", "string.pt", "legacy.pt", "lists.index.json")]
    write_zip(paths[0], b"N0" * 3 * 10**6)
    write_zip(paths[1], b"](" + b"]" * 4_900_000 + b"e")
    write_zip(paths[2], string("x" * 70_000_000))
    write_legacy(paths[3], b"](" + b"]" * 4_900_000 + b"e", storages={})
    paths[4].write_bytes(b'{"a":[' + b"[]," * 10**7 + b"[]]}")
    entry = b"PK\1\2" + bytes(24) + struct.pack("<H", 8) + bytes(16) + b"x/data/0"
    end = b"PK\5\6" + bytes(4) + struct.pack("<HHIIH", 65535, 65535, len(entry) * 400_000, 4, 0)
    (folder / "entries.pt").write_bytes(b"PK\3\4" + entry * 400_000 + end)
    lists = safetensors_file(folder / "lists.safetensors", b'{"a":[' + b"[]," * 10**7)
    return [*paths, folder / "entries.pt", lists]


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory as Linux does")
@pytest.mark.parametrize("make", [bombs, pytest.param(large_bombs, marks=pytest.mark.slow)])
def test_bombs(tmp_path, make):
    paths = make(tmp_path)
    for path, outcome in zip(paths, limits.outcomes(paths), strict=True):
        assert isinstance(outcome, str), path
        assert "MemoryError" not in outcome, outcome
        assert len(outcome) < 1000, path


def test_a_reasonable_expansion_is_no_bomb(tmp_path):
    write_zip(tmp_path / "x.pt", dictionary({"mask": tensor(shape=(1, 1, 4096, 4096), strides=(0, 0, 0, 1 // 2))}))
    assert interop.read(tmp_path / "x.pt")["mask"].shape == (1, 1, 4096, 4096)
    write_zip(tmp_path / "x.pt", dictionary({"mask": tensor(shape=(2**20, 2**20), strides=(0, 0))}))
    assert "would expand to 4,398,046,511,104, mask alone to 4,398,046,511,104" in refusal(tmp_path / "x.pt")
