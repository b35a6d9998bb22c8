"""Checkpoint files as dicts of numpy arrays."""

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
from numpy.typing import NDArray

from .tensors import to_numpy


def read(path: str | os.PathLike[str], *, entry: str | None = None) -> dict[str, NDArray[Any]]:
    """The tensors of a checkpoint file, by name.

    Args:
      path: a `.safetensors` file (read without torch), or a `.pt` or `.pth` file as `torch.save` writes it, in its zip
        or its legacy format, with tensors of any device. No code in the file is run.
      entry: where the tensors are in a dict within the file's, beside other things, that dict's key, such as
        `"state_dict"`.

    Returns:
      A dict of name to numpy array, in the file's dtypes; bfloat16 is kept (as `ml_dtypes.bfloat16`).

    Raises:
      FileNotFoundError: no such file.
      ImportError: a torch file, and torch is not installed.
      ValueError: not a checkpoint, not a dict of tensors, or no such entry.

    Example:
      >>> import numpy as np, safetensors.numpy
      >>> from jax_tconv import interop
      >>> safetensors.numpy.save_file({"up.weight": np.ones((8, 4, 2, 2))}, "model.safetensors")
      >>> interop.read("model.safetensors")["up.weight"].shape
      (8, 4, 2, 2)
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"path must be a file, and {path} is a directory")
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return _tensors(path, content, entry)


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (the file is no mapping)
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error


def _read_torch(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"reading {path.name} needs torch; install it with: pip install 'jax_tconv[torch]' "
            "(.safetensors files are read without it)"
        ) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(
            f"{path} is not a checkpoint of tensors alone: it asks for {wanted[1] if wanted else 'other objects'}, and "
            "nothing but tensors is unpickled, since that could run any code. If it is a whole pickled model, load it "
            "where its code is, and save its state_dict: torch.save(model.state_dict(), path)"
        ) from error
    except Exception as error:  # a broken file makes the unpickler fail in any way at all
        detail = next(iter(str(error).splitlines()), "")
        raise ValueError(
            f"{path} is not a checkpoint that torch can read: broken, cut short, or of another kind "
            f"({type(error).__name__}: {detail})"
        ) from error


def _tensors(path: Path, content: Any, entry: str | None) -> dict[str, NDArray[Any]]:
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds no dict of tensors, but {type(content).__name__}; save a model's state_dict")
    dicts = [key for key, value in content.items() if isinstance(value, Mapping)]
    if entry is not None:
        if entry not in dicts:
            raise ValueError(f"entry must name a dict in {path}, which has {dicts or 'none'}; got {entry!r}")
        return _tensors(path, content[entry], None)
    others = [f"{key} ({type(value).__name__})" for key, value in content.items() if not _is_tensor(value)]
    if others:
        advice = f"; take one of its dicts, with entry={' or entry='.join(map(repr, dicts))}" if dicts else ""
        raise ValueError(f"{path} holds more than tensors: {', '.join(others)}{advice}")
    return {str(key): to_numpy(str(key), value) for key, value in content.items()}


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")
