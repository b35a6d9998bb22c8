"""Files of `torch.save`, in the zip format and in the legacy format, without torch."""

import os
import struct
import sys
import zipfile
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any

from .._text import plain
from .allowance import Allowance
from .mapped import Bytes, map_file
from .pickles import MOST_BYTES, Unmade, unpickle
from .refusal import Refused, listed
from .torch_tensors import Storage, calls, place, storage

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_MOST_DIRECTORY = 4 * 2**20  # a tensor's entry takes about 70 bytes, and 700 as an object
_LONGEST_KEY = 1_000
_STEPS = 30  # of finding a storage's bytes
_ENCRYPTED = 1
_OTHER_BYTE_ORDER = "has another byte order than this machine; load and save it with torch"
_LOCAL_HEADER = struct.Struct("<4s22xHH")


def read_zip(path: Path, allowance: Allowance) -> Any:
    """What `torch.save` was given, as plain data with `Tensor` leaves."""
    raw = map_file(path)
    records = _records(path, len(raw), allowance.scaled(_MOST_DIRECTORY))
    if "byteorder" in records and not _says(raw, records["byteorder"], sys.byteorder.encode()):
        raise Refused(_OTHER_BYTE_ORDER)
    stored = {name.removeprefix("data/"): entry for name, entry in records.items() if name.startswith("data/")}
    storages: dict[str, Storage | Unmade] = {}

    def load_persistent(identity: Any) -> Any:
        found, key, _ = _storage(identity, 5, storages)
        if key not in stored:
            raise Refused(f"is broken: its archive has no storage {plain(key)}")
        if isinstance(found, Storage) and found.raw is None:
            allowance.take(_STEPS)
            place(found, _record(raw, stored[key])[: found.nbytes])
        return found

    program = _record(raw, records["data.pkl"])
    if len(program) > MOST_BYTES:
        raise Refused(f"is not read: its pickle is larger than {MOST_BYTES >> 20} MiB")
    allowance.take(0, len(program))
    return unpickle(BytesIO(program.tobytes()), allowance, calls(allowance), load_persistent)


def read_legacy(path: Path, allowance: Allowance) -> Any:
    """What `torch.save` was given, as plain data with `Tensor` leaves."""
    raw = map_file(path)
    head = raw[:MOST_BYTES]
    allowance.take(0, len(head))
    file = BytesIO(head.tobytes())
    _check_preamble(file, allowance)
    storages: dict[str, Storage | Unmade] = {}

    def load_persistent(identity: Any) -> Any:
        if isinstance(identity, tuple) and identity[:1] == ("module",):
            return identity[1]  # the class of a pickled model
        found, _, view = _storage(identity, 6, storages)
        if view is not None:
            raise Refused("has storages that view others, as torch before 0.4 wrote; load and save it with torch")
        return found

    content = unpickle(file, allowance, calls(allowance), load_persistent)
    keys = unpickle(file, allowance, {})
    # By their lengths first: a pickle may list one long string a million times.
    if len(keys) != len(storages) or not all(map(_is_key, keys)) or set(keys) != storages.keys():
        raise Refused("is broken: its storages are not those that its tensors name")
    start = file.tell()
    allowance.take(_STEPS * len(keys))
    for key in keys:
        start = _place_legacy(storages[key], raw, start)
    return content


def _check_preamble(file: BytesIO, allowance: Allowance) -> None:
    """Reads the three pickles that come first: the magic number, the version and the byte order."""
    if unpickle(file, allowance, {}) != LEGACY_MAGIC:
        raise Refused("is a pickle, but not one of torch.save")
    if unpickle(file, allowance, {}) != _LEGACY_PROTOCOL:
        raise Refused("has an unknown version of torch's legacy format")
    if unpickle(file, allowance, {})["little_endian"] != (sys.byteorder == "little"):
        raise Refused(_OTHER_BYTE_ORDER)


def _place_legacy(storage: Storage | Unmade, raw: Bytes, start: int) -> int:
    """Places a storage whose number of elements, and then its bytes, begin at `start`; returns where they end."""
    if not isinstance(storage, Storage):
        raise Refused(f"holds a {plain(storage.name)}, whose size is unknown here; load and save it with torch")
    numel = int.from_bytes(raw[start : start + 8].tobytes(), "little")
    if numel * storage.dtype.itemsize != storage.nbytes:
        raise Refused(f"is broken: a storage has {numel:,} elements, but its tensors say {storage.nbytes:,} bytes")
    end = start + 8 + storage.nbytes
    place(storage, raw[start + 8 : end])
    return end


class _Bounded(FileIO):
    """A file that refuses large reads: `zipfile` reads a directory at once, and makes an object of each entry."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(path)
        self._most = most

    def read(self, size: int | None = -1, /) -> Any:
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > self._most:
            raise Refused(f"is not read: its archive's directory is larger than {self._most:,} bytes")
        return super().read(size)


def _records(path: Path, file_size: int, most_directory: int) -> dict[str, zipfile.ZipInfo]:
    """The entries of an archive, by their names within its folder."""
    with _Bounded(path, most_directory) as file, zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if len(entries) != len(archive.infolist()):
            raise Refused("is broken: several entries of its archive have the same name")
    root = _root(list(entries))
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & _ENCRYPTED for entry in entries.values()):
        raise Refused(
            "is a compressed or encrypted archive, which torch.save never writes; if you trust where it comes from, "
            "unpack it, and pack it again with `zip -0`"
        )
    declared = sum(entry.file_size for entry in entries.values())
    if declared > file_size:
        raise Refused(f"is broken: its archive declares {declared:,} bytes, but the file has {file_size:,}")
    return {name.removeprefix(root): entry for name, entry in entries.items() if name.startswith(root)}


def _root(names: list[str]) -> str:
    """The folder that everything in the archive is in, with its slash."""
    programs = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(programs) != 1:
        kind = "a .npz file of numpy" if names and all(name.endswith(".npy") for name in names) else "a zip archive"
        shown = listed([plain(name) for name in names], limit=4) or "nothing"
        raise Refused(f"is {kind}, but not one of torch.save: it holds {shown}")
    root = programs[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in names:
        raise Refused(
            "is a TorchScript archive, which holds a program; save its weights: "
            "torch.save(torch.jit.load(path).state_dict(), new_path)"
        )
    return root


def _record(raw: Bytes, entry: zipfile.ZipInfo) -> Bytes:
    """An entry's bytes, which are not compressed."""
    header = raw[entry.header_offset : entry.header_offset + _LOCAL_HEADER.size].tobytes()
    magic, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    named = entry.header_offset + _LOCAL_HEADER.size
    start = named + name_length + extra_length
    end = start + entry.file_size
    name = raw[named : named + name_length].tobytes()
    # Whatever comes next begins so too: otherwise the content does not begin or end where the header says.
    follows = raw[end : end + 2].tobytes() == ZIP_MAGIC[:2]
    if magic != ZIP_MAGIC or name != entry.orig_filename.encode() or not follows:
        raise Refused(f"is broken: {plain(entry.filename)} in it, of {entry.file_size:,} bytes, does not fit the file")
    return raw[start:end]


def _says(raw: Bytes, entry: zipfile.ZipInfo, text: bytes) -> bool:
    """Whether an entry, which may be of gigabytes, is just this text."""
    return entry.file_size == len(text) and _record(raw, entry).tobytes() == text


def _storage(identity: Any, length: int, storages: dict[str, Storage | Unmade]) -> tuple[Storage | Unmade, str, Any]:
    """The storage that a persistent id with `length` parts describes, its key, and the id's last part."""
    if not isinstance(identity, tuple) or len(identity) != length or identity[0] != "storage":
        raise Refused("is broken: its pickle refers to something other than a storage")
    _, kind, key, _, numel, *_ = identity
    if not _is_key(key):
        raise Refused("is broken: a storage in it has no name, or an endless one")
    declared = storage(kind, numel)
    found = storages.setdefault(key, declared)
    if _declaration(found) != _declaration(declared):
        raise Refused(f"is broken: it declares storage {plain(key)} in two ways")
    return found, key, identity[-1]


def _is_key(key: Any) -> bool:
    return isinstance(key, str) and len(key) <= _LONGEST_KEY


def _declaration(storage: Storage | Unmade) -> tuple[Any, ...]:
    return (storage.dtype, storage.nbytes) if isinstance(storage, Storage) else (storage.name,)
