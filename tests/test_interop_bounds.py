"""Files whose operations each name something large, or what is slow to find: the work is bounded by the file's size."""

import json
import random
import struct
import sys
import zipfile

import pytest

from tests import limits
from tests.pickling import (
    call,
    dictionary,
    integer,
    items,
    name,
    program,
    safetensors_file,
    storage,
    string,
    tensor,
    write_legacy,
    write_zip,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory as Linux does")
LONG = "x" * 5_000_000


def chain(probes, largest):
    """Integers that fill a part of a dict's table, and one whose search goes through most of that part.

    CPython's search goes from a slot `i` to `5 * i + 1`, and adds the upper digits of the key at first.
    """
    mask, length = 2**17 - 1, 2**16
    place, slot = {}, 0
    for number in range(length):
        place[slot] = number
        slot = (5 * slot + 1) & mask
    rng = random.Random(0)
    while True:
        key = rng.randrange(largest)
        found, perturb, seen = key & mask, key, []
        for _ in range(probes):
            seen.append(found)
            perturb >>= 5
            found = (found * 5 + perturb + 1) & mask
        if all(slot in place for slot in [*seen, found]) and place[found] < length // 16:
            return list(place), key


def slow_pickles():
    """Each would take minutes if its operations took as long as what they name is large."""
    rebuild = "torch._utils._rebuild_tensor_v2"
    large = b"(" + b"N" * 300_000 + b"tq\x000"
    for function in (rebuild, "collections.defaultdict"):
        yield "a large tuple as arguments", large + name(function) + b"q\x010](" + b"h\x01h\x00R" * 100_000 + b"e"
    # (found, key, numel) of a storage whose type, or whose tensor's dtype, has an endless name.
    kind = name(f"torch.{LONG}Storage") + b"q\x000"
    yield (
        "an endless kind",
        kind
        + items(string("storage"), b"h\x00", string("0"), string("cpu"), integer(4))
        + (b"q\x010](" + b"h\x01Q" * 20_000 + b"e"),
    )
    parts = storage(), integer(0), items(integer(4)), items(integer(1)), b"\x89", b"N", name(f"torch.{LONG}")
    rebuilt = name("torch._utils._rebuild_tensor_v3") + b"q\x000" + items(*parts) + b"q\x010"
    yield "an endless dtype", rebuilt + b"](" + b"h\x00h\x01R" * 20_000 + b"e"
    yield "equal long keys", string(LONG) + b"q\x00" + string(LONG) + b"q\x01}h\x00Ns" + b"h\x01Ns" * 200_000
    filled, slow = chain(12, 2**59)
    numbers = b"}(" + b"".join(integer(key) + b"N" for key in filled) + b"u"
    yield "integer keys that collide", integer(slow) + b"q\x000" + numbers + b"h\x00Ns" * 600_000
    filled, slow = chain(7, 2**32)
    memo = b"N" + b"".join(b"r" + struct.pack("<I", number) for number in [*filled, slow])
    yield "memo keys that collide", memo + (b"j" + struct.pack("<I", slow) + b"0") * 600_000
    yield "lists in lists", b"]" * 1_300_000 + b"a" * 1_299_999
    yield "tuples in tuples", b")" + b"\x85" * 2_000_000
    # Tuples made anew of one list, each of as many numbers as a tensor may have axes.
    axes = b"](" + integer(1) * 64 + b"eq\x010"
    views = storage() + b"q\x020" + name(rebuild) + b"q\x000" + axes
    views += items(b"h\x02", integer(0), b"h\x01", b"h\x01", b"\x89", b"N") + b"q\x030"
    yield "one list as many shapes", views + b"](" + b"h\x00h\x03R" * 900_000 + b"e"


def slow_modules():
    """A module with buffers that are not kept: two long names, equal, again and again."""
    empty = b"}"
    names = b"(" + b"h\x00h\x01" * 20_000 + b"t"
    state = string("_parameters") + empty + string("_buffers") + empty + string("_modules") + empty
    state += string("_non_persistent_buffers_set") + names
    return string(LONG) + b"q\x000" + string(LONG) + b"q\x010" + call("x.Module") + b"}(" + state + b"ub"


def sparse_entry(path, nbytes):
    """A zip whose byte order is a hole of gigabytes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", program(b"}"))
        entry = zipfile.ZipInfo("x/byteorder")
        entry.file_size = entry.compress_size = nbytes
        entry.header_offset, entry.CRC = archive.fp.tell(), 0
        archive.fp.write(entry.FileHeader())
        archive.fp.seek(nbytes, 1)
        archive.filelist.append(entry)
        archive.NameToInfo[entry.filename] = entry
        archive.start_dir = archive.fp.tell()
        archive._didModify = True


def expanding_shards(folder):
    """An index of files that are each allowed by themselves, and together expand to gigabytes."""
    files = {f"mask{number}": f"{number}.bin" for number in range(30)}
    shape, strides = (250 * 2**20,), (0,)
    for key, file in files.items():
        mask = tensor(storage("torch.BoolStorage", numel=16), shape=shape, strides=strides)
        write_zip(folder / file, dictionary({key: mask}))
    return index(folder / "expanding.index.json", files)


def index(path, files):
    path.write_text(json.dumps({"weight_map": files}))
    return path


def refused(paths):
    outcomes = limits.outcomes(paths)
    for path, outcome in zip(paths, outcomes, strict=True):
        assert isinstance(outcome, str), path
        assert "MemoryError" not in outcome, outcome
        assert len(outcome) < 1000, path
    return outcomes


def test_pickles_whose_operations_name_something_large(tmp_path):
    paths = []
    for number, (stem, value) in enumerate([*slow_pickles(), ("modules", slow_modules())]):
        paths.append(tmp_path / f"{number} {stem}.pt")
        write_zip(paths[-1], value)
    paths.append(tmp_path / "keys of storages.pt")
    write_legacy(paths[-1], b"}", storages={})
    keys = program(string(LONG) + b"q\x000" + string(LONG) + b"q\x010](" + b"h\x00h\x01" * 100_000 + b"e")
    paths[-1].write_bytes(paths[-1].read_bytes().removesuffix(b"\x80\x02]q\x00.") + keys)
    refused(paths)


def test_one_allowance_for_all_shards(tmp_path):
    [message] = refused([expanding_shards(tmp_path)])
    assert " would expand to " in message


def test_indices_of_endless_paths_files_or_items(tmp_path):
    paths = [
        index(tmp_path / "path.index.json", {"a": "a/" * 1_000_000 + "b"}),
        index(tmp_path / "files.index.json", {f"{number}": f"{number}.bin" for number in range(200_000)}),
        index(tmp_path / "items.index.json", {f"{number}": "" for number in range(1_000_000)}),
    ]
    path, files, parts = refused(paths)
    assert "names a file whose path has 2,000,001 characters: a/a/" in path
    assert "its tensors are in more than 10,000 files" in files
    assert "full of brackets or commas" in parts


def test_an_entry_is_not_read_before_its_size_is_known(tmp_path):
    sparse_entry(tmp_path / "x.pt", 3_600_000_000)
    assert "has another byte order" in refused([tmp_path / "x.pt"])[0]


def many_tensors(path, names):
    parts = {key: {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n, key in enumerate(names)}
    return safetensors_file(path, parts, bytes(len(parts)))


def test_inspect_shows_some_of_many_tensors(tmp_path):
    count = 30_000
    paths = [
        many_tensors(tmp_path / "layers.safetensors", [f"layer{n}.weight" for n in range(count)]),
        many_tensors(tmp_path / "flat.safetensors", [f"tensor{n}" for n in range(count)]),
        many_tensors(tmp_path / "vectors", [f"{n}.parametrizations.weight.original" for n in range(count)]),
        many_tensors(tmp_path / "halves", [f"{n}.weight_g" for n in range(count)]),
        many_tensors(tmp_path / "long", ["x" * 5_000_000]),
    ]
    layers, flat, vectors, halves, long = limits.outcomes(paths, "inspect")
    assert "29,000 more layers not shown; --json has them all." in layers
    assert "29,900 more" in " ".join(flat.split())
    assert "30,000 tensors" in " ".join(vectors.split())
    assert "29,900 more notes like these not shown; --json has them all." in halves
    assert len(long) < 10_000
