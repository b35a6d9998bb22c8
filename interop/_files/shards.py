"""Checkpoints in several files: an index beside them says which tensor is in which."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .._text import plain
from .json_texts import MOST_TEXT, is_endless, unique
from .mapped import map_file
from .refusal import Refused, listed, reading

SUFFIX = ".index.json"
_MOST_BRACKETS = 10_000
_MOST_PARTS = 500_000  # a tensor takes two
_MOST_FILES = 10_000
_LONGEST_FILE = 1_000  # of the characters of its path
_DEEPEST_FILE = 16  # each folder is looked up


def weight_map(path: Path) -> dict[str, str]:
    """The file of each tensor, from an index such as `model.safetensors.index.json`."""
    with reading(path):
        text = map_file(path)[: MOST_TEXT + 1].tobytes()
        if is_endless(text, _MOST_BRACKETS, _MOST_PARTS):
            raise Refused(
                f"is not the index of a checkpoint: larger than {MOST_TEXT >> 20} MiB, or full of brackets or commas"
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
    # The cache of the Hugging Face hub is made of links from snapshots/<revision>/ to blobs/.
    folder = path.parent
    allowed = (folder.parent.parent if folder.parent.name == "snapshots" else folder).resolve()
    shards = {file: _inside(folder, file, allowed) for file in dict.fromkeys(files.values())}
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


def _inside(folder: Path, file: str, allowed: Path) -> Path:
    """`file` in `folder`; Refused for one that is not in `allowed`."""
    if len(file) > _LONGEST_FILE:
        raise Refused(f"names a file whose path has {len(file):,} characters: {plain(file)}")
    parts = re.split(r"[/\\]", file)
    if ".." in parts or not parts[0] or ":" in parts[0] or "\0" in file:
        raise Refused(f"names a file outside its folder: {plain(file)}")
    if len(parts) > _DEEPEST_FILE:
        raise Refused(f"names a file that is {len(parts):,} folders deep: {plain(file)}")
    if not (folder / file).resolve().is_relative_to(allowed):
        raise Refused(f"names a file that is a link to outside its folder: {plain(file)}")
    return folder / file
