"""Checkpoint files as dicts of numpy arrays."""

import functools
import gc
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

from .._text import plain
from .allowance import Allowance
from .entries import Leaf, tensors_of
from .mapped import map_file
from .orbax_files import is_orbax
from .refusal import CheckpointError, Refused, listed, reading
from .safetensors_files import read_safetensors
from .shards import SUFFIX, read_shards, weight_map
from .torch_files import ZIP_MAGIC, read_legacy, read_zip
from .torch_tensors import Tensor

Reader: TypeAlias = Callable[[Path, Allowance], Any]

# Files that are not checkpoints, by how they begin.
_OTHER_KINDS = {
    b"\x1f\x8b": "is compressed with gzip; unpack it first",
    b"BZh": "is compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "is compressed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it first",
    b"\x93NUMPY": "is not a checkpoint but one array of numpy, which numpy.load reads",
    b"\x89HDF": "is an HDF5 file, which Keras writes and torch does not",
    b"GGUF": "is a GGUF file, whose tensors are quantized in ways that torch does not have",
    b"version https://git-lfs": "is not a checkpoint but what Git LFS puts in its place; `git lfs pull` fetches it",
    b"<": "is not a checkpoint but a web page; what was downloaded is a page about the file",
}


def read(path: str | os.PathLike[str], *, entry: str | None = None, copy: bool = False) -> dict[str, NDArray[Any]]:
    """The tensors of a checkpoint, by name. Neither torch nor any code in the file is run.

    The arrays are read-only views of the file, so reading takes no memory until an array is used, and then only that
    tensor's. Files up to 16 MiB are read into memory. Views stay valid if the file is removed, or replaced as
    `interop.write` does it, but not if it is overwritten in place, as `torch.save` does: their values change, and if
    the file becomes shorter, using them ends the process with a bus error, which Python cannot catch. Where that may
    happen, pass `copy=True`. A file that becomes shorter while `read` runs is refused.

    Args:
      path: a file of any name: safetensors; or what `torch.save` wrote, in its zip or its legacy format, with
        tensors of any device, of a state dict or of a whole module; or the index of a checkpoint in several files, such
        as `model.safetensors.index.json`. Or a folder with one of these in it.
      entry: if the file holds several dicts of tensors, the key of one, such as `"state_dict"`, or keys, such as
        `"model.generator"`. A file with just one, apart from an optimizer's state, needs none: which one is read is
        logged by `logging`, at level INFO. A whole pickled module, which is read from its attributes as data, counts as
        its state dict; names that its class's own `state_dict` would change are as they are within it.
      copy: read the tensors into memory, which takes as much as they take in the file, and leaves nothing that depends
        on the file. Tensors that share memory in the file share the copy, which is read-only too.

    Returns:
      A dict of name to numpy array, in the file's dtypes; those that numpy lacks, such as bfloat16, are `ml_dtypes`'.

    Raises:
      FileNotFoundError: no such file.
      CheckpointError (a ValueError): broken, of no known kind, not a dict of tensors, or no such entry; or its tensors
        would take far more memory than the file has bytes. A changed byte within a tensor's values goes unnoticed.

    Example:
      >>> import numpy as np
      >>> from jax_tconv import interop
      >>> interop.write("model.safetensors", {"up.weight": np.ones((8, 4, 2, 2))})
      >>> interop.read("model.safetensors")["up.weight"].shape
      (8, 4, 2, 2)
    """
    path = Path(path)
    with reading(path):
        exists = path.exists()
    if not exists:
        raise FileNotFoundError(f"no such file: {path}")
    with reading(path), without_garbage_collection():
        return _read(_checkpoint_in(path) if path.is_dir() else path, entry, Allowance(), copy)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Millions of new objects would be gone through again and again, in search of cycles that hardly any file has."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(path: Path, entry: str | None, allowance: Allowance, copy: bool) -> dict[str, NDArray[Any]]:
    with reading(path):
        reader = _reader(path)
        allowance.begin_file(path.stat().st_size)
        shards = functools.partial(_read_shard, allowance=allowance, copy=copy)
        content = read_shards(path, shards) if reader is _index else reader(path, allowance)
        leaves = tensors_of(content, entry, path)
        if reader is not _index:
            allowance.count_tensors(len(leaves))
        _refuse_expanded(leaves, allowance)
        return {name: leaf.array(copy) if isinstance(leaf, Tensor) else leaf for name, leaf in leaves.items()}


def _index(path: Path, allowance: Allowance) -> dict[str, str]:
    return weight_map(path)


def _read_shard(path: Path, allowance: Allowance, copy: bool) -> dict[str, NDArray[Any]]:
    with reading(path):
        if _reader(path) is _index:
            raise Refused("is an index, where another index says that it holds tensors")
        return _read(path, None, allowance, copy)


# What reads a file, by how it begins.
_READERS: dict[Reader, Callable[[bytes], bool]] = {
    # After its header's length, which may be any eight bytes.
    read_safetensors: lambda head: head[8:9] == b"{" and b"\0" in head[:8],
    read_zip: lambda head: head.startswith(ZIP_MAGIC),
    read_legacy: lambda head: head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"),
    _index: lambda head: head.lstrip().startswith(b"{"),
}


def _reader(path: Path) -> Reader:
    """What reads a file, by how it begins; Refused for one of no known kind."""
    head = map_file(path)[:512].tobytes()
    for reader, fits in _READERS.items():
        if fits(head):
            return reader
    if head[257:262] == b"ustar":
        raise Refused(
            "is a tar archive; unpack it first (or, if torch before 0.2 wrote it, load and save it with torch)"
        )
    for magic, kind in _OTHER_KINDS.items():
        if head.lstrip().startswith(magic):
            raise Refused(kind)
    if path.suffix == ".safetensors":
        return read_safetensors
    raise Refused("is not a checkpoint of a known kind: safetensors, a file of torch.save, or an index of such files")


def _checkpoint_in(folder: Path) -> Path:
    """The only index in a folder, or the only checkpoint."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    choices = [path for path in files if path.name.endswith(SUFFIX)]
    in_an_index = {name for index in choices for name in weight_map(index).values()}
    choices += [path for path in files if path.name not in in_an_index and _is_checkpoint(path)]
    if len(choices) == 1:
        return choices[0]
    if choices:
        names = [plain(path.name) for path in choices]
        raise Refused(f"is a folder with several checkpoints; read one of them: {listed(names, limit=20)}")
    if is_orbax(folder):
        raise Refused("is a checkpoint of Orbax; interop.load(model, path) reads it into a Flax model")
    if any(path.suffix == ".distcp" for path in files):
        raise Refused(
            "is a checkpoint of torch.distributed; make one file of it with "
            "torch.distributed.checkpoint.format_utils.dcp_to_torch_save"
        )
    raise Refused("is a folder without a checkpoint in it")


def _is_checkpoint(path: Path) -> bool:
    try:
        with reading(path):
            return _reader(path) is not _index
    except CheckpointError:
        return False


def _refuse_expanded(leaves: dict[str, Leaf], allowance: Allowance) -> None:
    tensors = [leaf for leaf in leaves.values() if isinstance(leaf, Tensor)]
    copies = {(id(tensor.storage), *tensor.copies): tensor for tensor in tensors if tensor.copies}
    copied = sum(math.prod(shape) * dtype.itemsize for _, _, shape, _, dtype, *_ in copies)
    if problem := allowance.expand(sum(tensor.nbytes for tensor in tensors), copied):
        largest = max(leaves, key=lambda name: leaves[name].nbytes)
        raise Refused(
            f"is not read: {problem}, {plain(largest)} alone to {leaves[largest].nbytes:,}, since its tensors repeat "
            "values. If that is meant, save each .contiguous()"
        )
