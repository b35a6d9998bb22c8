"""Checkpoints in several files: an index beside them says which tensor is in which."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .._text import plain
from .mapped import map_file
from .refusal import Refused, listed, reading
from .safetensors_files import MOST_HEADER, unique

SUFFIX = ".index.json"
_MOST_BRACKETS = 10_000
_MOST_PARTS = 500_000  # a tensor takes two
_MOST_FILES = 10_000
_LONGEST_FILE = 1_000  # of the characters of its path


def weight_map(path: Path) -> dict[str, str]:
    """The file of each tensor, from an index such as `model.safetensors.index.json`."""
    with reading(path):
        text = map_file(path)[: MOST_HEADER + 1].tobytes()
        brackets = text.count(b"[") + text.count(b"{")  # each makes an object
        parts = text.count(b",") + text.count(b":")
        if len(text) > MOST_HEADER or brackets > _MOST_BRACKETS or parts > _MOST_PARTS:
            raise Refused(
                f"is not the index of a checkpoint: larger than {MOST_HEADER >> 20} MiB, or full of brackets or commas"
            )
        try:
            index = json.loads(text, object_pairs_hook=unique)
        except (ValueError, RecursionError) as error:
            raise Refused(f"is not readable JSON: {error}") from error
        files = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(files, dict) or not all(isinstance(file, str) for file in files.values()):
            raise Refused('is JSON, but not the index of a checkpoint: that has a "weight_map" of tensors to files')
        return files


def read_shards(path: Path, read_shard: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """The tensors of an index's files, each read by `read_shard`."""
    files = weight_map(path)
    if len(set(files.values())) > _MOST_FILES:
        raise Refused(f"is not read: it says that its tensors are in more than {_MOST_FILES:,} files")
    shards = {file: _inside(path.parent, file) for file in dict.fromkeys(files.values())}
    missing = [plain(file) for file, shard in shards.items() if not shard.is_file()]
    if missing:
        raise Refused(f"needs files that are not beside it: {listed(missing, limit=100)}")
    listed_in: dict[str, list[str]] = {}
    for name, file in files.items():
        listed_in.setdefault(file, []).append(name)
    tensors: dict[str, Any] = {}
    for file, shard in shards.items():
        content = read_shard(shard)
        absent = [plain(name) for name in listed_in[file] if name not in content]
        if absent:
            raise Refused(f"lists tensors that {plain(file)} does not hold: {listed(absent)}")
        unlisted = [plain(name) for name in content if files.get(name) != file]
        if unlisted:
            raise Refused(f"lists elsewhere, or not at all, tensors that {plain(file)} holds: {listed(unlisted)}")
        tensors |= content
    return tensors


def _inside(folder: Path, file: str) -> Path:
    """`file` in `folder`; Refused for one that is elsewhere."""
    if len(file) > _LONGEST_FILE:
        raise Refused(f"names a file whose path has {len(file):,} characters: {plain(file)}")
    parts = re.split(r"[/\\]", file)
    if ".." in parts or not parts[0] or ":" in parts[0] or "\0" in file:
        raise Refused(f"names a file outside its folder: {plain(file)}")
    # The cache of the Hugging Face hub is made of links from snapshots/<revision>/ to blobs/.
    allowed = folder.parent.parent if folder.parent.name == "snapshots" else folder
    if not (folder / file).resolve().is_relative_to(allowed.resolve()):
        raise Refused(f"names a file that is a link to outside its folder: {plain(file)}")
    return folder / file
