"""Zip archives and legacy files whose frames lie, or have far more parts than tensors need."""

import pickle
import struct
import zipfile

from tests.hostile.dense import get, kept
from tests.hostile.making import Files, pickled
from tests.hostile.structures import numbered
from tests.pickling import (
    MAGIC,
    PROTOCOL,
    dictionary,
    integer,
    name,
    program,
    storage,
    string,
    tensor,
    write_legacy,
    write_zip,
)
from tests.test_interop_bounds import sparse_entry


def directory(count, entry="x/data/{}", extra=0):
    """A central directory of many entries, none of which is there."""

    def make(folder):
        entries = []
        for number in range(count):
            encoded = entry.format(number).encode()
            entries.append(b"PK\1\2" + bytes(24) + struct.pack("<HH", len(encoded), extra) + bytes(14) + encoded)
            entries.append(bytes(extra))
        joined = b"".join(entries)
        end = b"PK\5\6" + bytes(4) + struct.pack("<HHIIH", count & 0xFFFF, count & 0xFFFF, len(joined), 4, 0)
        (folder / "x.pt").write_bytes(b"PK\3\4" + joined + end)
        return folder / "x.pt"

    return make


def many_storages(count, nbytes=4):
    """A tensor of each of many storages, as `torch.save` writes them."""

    def make(folder):
        value = {f"{n}": tensor(storage(key=f"{n}", numel=nbytes // 4), shape=(nbytes // 4,)) for n in range(count)}
        write_zip(folder / "x.pt", dictionary(value), {f"{n}": bytes(nbytes) for n in range(count)})
        return folder / "x.pt"

    return make


def many_legacy_storages(count):
    def make(folder):
        value = {f"{n}": tensor(storage(key=f"{n}", numel=1, legacy=True), shape=(1,)) for n in range(count)}
        write_legacy(folder / "x.pt", dictionary(value), {f"{n}": (1, bytes(4)) for n in range(count)})
        return folder / "x.pt"

    return make


def legacy(parts, rest=0):
    """A legacy file of the pickles that a function makes, after the three that come first, and so many bytes."""

    def make(folder):
        system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {}}
        first = b"".join(pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, system))
        (folder / "x.pt").write_bytes(first + b"".join(map(program, parts())) + bytes(rest))
        return folder / "x.pt"

    return make


def preamble(value):
    def make(folder):
        (folder / "x.pt").write_bytes(program(value()))
        return folder / "x.pt"

    return make


def sparse(nbytes):
    def make(folder):
        sparse_entry(folder / "x.pt", nbytes)
        return folder / "x.pt"

    return make


def deflated(folder):
    with zipfile.ZipFile(folder / "x.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10**8))
    return folder / "x.pt"


def truths(count, nbytes):
    """Bools, which are copied: of many storages, and of one at many places."""

    def make(folder):
        masks = {f"{n}": tensor(storage("torch.BoolStorage", f"{n}", nbytes), shape=(nbytes,)) for n in range(count)}
        write_zip(folder / "x.pt", dictionary(masks), dict.fromkeys(masks, bytes(nbytes)))
        return folder / "x.pt"

    return make


def conjugates(count, size):
    """Conjugates of a part of one storage each, which are computed apart."""
    metadata = b"}" + string("conj") + b"\x88s"

    def view(n):
        made = tensor(storage("torch.ComplexFloatStorage", numel=size), offset=n, shape=(size - count,))
        return made.removesuffix(b"tR") + metadata + b"tR"

    return pickled(lambda _: dictionary({f"{n}": view(n) for n in range(count)}), storages={"0": bytes(8 * size)})


def files() -> Files:
    for count in (30_000, 60_000, 140_000):
        yield f"a directory of {count} entries", directory(count)
    yield "a directory of entries with long names", directory(900, "x/data/" + "y" * 9_000 + "{}")
    yield "a directory of entries with extras", directory(60, extra=60_000)
    yield "a directory of entries of other folders", directory(80_000, "{}/x")
    yield "a directory of programs", directory(80_000, "{}/data.pkl")
    yield "a directory of one name", directory(80_000, "x/data/0")
    for count in (10_000, 30_000):
        yield f"{count} storages", many_storages(count)
        yield f"{count} legacy storages", many_legacy_storages(count)
    yield "a sparse entry", sparse(90_000_000)
    yield "a sparse entry of gigabytes", sparse(3_600_000_000)
    yield "a deflated program", deflated
    yield "many bools", truths(6, 15_000_000)
    yield "many conjugates", conjugates(50, 300_000)
    yield "a pickle before a long file", legacy(lambda: [b"}", b"]"], 90_000_000)
    yield "a long pickle before a long file", legacy(lambda: [numbered(150_000, b"N"), b"]"], 70_000_000)
    keys = lambda: b"](" + b"".join(string(f"{n}") for n in range(500_000)) + b"e"
    yield "a legacy file of many keys", legacy(lambda: [b"}", keys()])
    long = lambda: kept(0, string("x" * 20_000_000)) + b"](" + get(0) * 500_000 + b"e"
    yield "a legacy file of one long key", legacy(lambda: [b"}", long()])
    yield "a magic number of megabytes", preamble(lambda: integer(256**50_000_000))
    yield "a magic list", preamble(lambda: b"](" + b"]" * 800_000 + b"e")
    yield "a magic call", preamble(lambda: name("os.system") + b"(" + string("exit") + b"tR")
