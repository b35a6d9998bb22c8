"""Tensors to checkpoint files, which appear under their names only when they are whole."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import safetensors.numpy
from numpy.typing import NDArray

from .._tensors import DTYPES, to_numpy, torch_tensor
from .._text import printable
from .refusal import CheckpointError
from .replacing import replacing, reported
from .safetensors_files import NAMES

_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def write(path: str | os.PathLike[str], state_dict: Mapping[str, Any]) -> None:
    """Writes tensors to a file that PyTorch reads, bit for bit.

    The file is written in a hidden folder beside `path`, and renamed when it is whole and on the disk: whatever
    happens, `path` is the old file or the new one. A process that is killed may leave that folder, whose name ends in
    `.tmp`.

    Args:
      path: where. `.safetensors` means that format; `.pt`, `.pth` and `.bin` mean `torch.save`'s, which needs torch. An
        existing file is replaced; the new one has its mode, also while it is written, and its owner where permitted.
      state_dict: names to tensors: of numpy, JAX or torch, in any memory layout. Tensors that share memory are
        written one by one.

    Raises:
      CheckpointError (a ValueError): another suffix, no such folder, or what the operating system refuses, such as a
        full disk.
      ImportError: torch is needed, and not installed.
      TypeError: a name is not a string, a value is not an array, or the format lacks its dtype. Nothing is written.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax_tconv import interop
      >>> interop.write("decoder.safetensors", {"up.weight": jnp.ones((8, 4, 2, 2), "bfloat16")})
      >>> interop.read("decoder.safetensors")["up.weight"].dtype
      dtype(bfloat16)
    """
    path = Path(path)
    if path.suffix not in _SUFFIXES:
        raise CheckpointError(f"path must end in {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}, got {path.name}")
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"state_dict must be a mapping of names to tensors, got {type(state_dict).__name__}")
    for name in state_dict:
        if not isinstance(name, str) or name == "__metadata__":
            raise TypeError(f"state_dict must have names for keys, got {name!r}")
        if path.suffix == ".safetensors" and name != name.encode(errors="replace").decode():
            raise TypeError(
                f"a .safetensors file cannot hold the name {name!r}, which is not Unicode text; a .pt file can"
            )
    dtypes = NAMES if path.suffix == ".safetensors" else DTYPES
    arrays = {name: _array(name, value, path.suffix, dtypes) for name, value in state_dict.items()}
    with replacing(path) as temporary:
        if path.suffix == ".safetensors":
            safetensors.numpy.save_file(arrays, temporary, metadata={"format": "pt"})
        else:
            _save_with_torch(arrays, temporary)


def write_orbax(path: str | os.PathLike[str], variables: Any) -> None:
    """Writes an Orbax checkpoint of Flax variables: a folder, which appears under its name only when it is whole.

    Args:
      path: the folder, which must not exist yet. A process that is killed may leave a hidden one beside it, whose name
        ends in `.tmp`, to be deleted.
      variables: a pytree of arrays: what a linen module's `apply` takes, or `nnx.state(model)`.

    Raises:
      FileExistsError: `path` exists.
      CheckpointError (a ValueError): no such folder, an array without elements, which Orbax cannot write, or what the
        operating system refuses, such as a full disk.
      TypeError: a leaf is not an array, or there are no leaves.

    Example:
      >>> import numpy as np, orbax.checkpoint
      >>> from jax_tconv import interop
      >>> interop.write_orbax("decoder", {"params": {"up": {"kernel": np.ones((2, 2, 8, 4))}}})
      >>> from pathlib import Path
      >>> restored = orbax.checkpoint.StandardCheckpointer().restore(Path("decoder").absolute())
      >>> restored["params"]["up"]["kernel"].shape
      (2, 2, 8, 4)
    """
    path = Path(path).absolute()
    with reported(path):
        exists = path.exists()
        if not path.parent.is_dir():
            raise CheckpointError(f"there is no folder {path.parent} to write {path.name} in")
    if exists:
        raise FileExistsError(f"{path} exists already; name another folder, or remove it first")
    replace_orbax(path, variables)


def replace_orbax(path: Path, variables: Any) -> None:
    """`write_orbax`, which also takes the place of what is at `path`."""
    import orbax.checkpoint  # type: ignore[import-untyped]  # takes seconds, and few need it

    leaves, _ = jax.tree.flatten_with_path(variables)
    if not leaves:
        raise TypeError("variables must be a pytree of arrays, but has none")
    for keys, leaf in leaves:
        name = jax.tree_util.keystr(keys)
        if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
            raise TypeError(f"variables must be a pytree of arrays, got {type(leaf).__name__} at {name}")
        if 0 in leaf.shape:
            raise CheckpointError(f"variables must have elements, which Orbax needs; got shape {leaf.shape} at {name}")
    with (
        replacing(path, folder=True) as new,
        _without_logs("absl"),
        orbax.checkpoint.StandardCheckpointer() as checkpointer,
    ):
        checkpointer.save(new.absolute(), variables)


@contextmanager
def _without_logs(name: str) -> Iterator[None]:
    """Keeps the logger of that name still; Orbax's writes the trace of an error which it raises too."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _array(name: str, value: Any, suffix: str, dtypes: Mapping[str, Any]) -> NDArray[Any]:
    """`value` as the format holds it: contiguous, in this machine's byte order."""
    array = to_numpy(name, value)
    if array.dtype.name not in dtypes:
        others = [other for other, names in ((".safetensors", NAMES), (".pt", DTYPES)) if array.dtype.name in names]
        advice = f"; a {others[0]} file can" if others else ""
        raise TypeError(f"{printable(name)} is {array.dtype.name}, which a {suffix} file cannot hold{advice}")
    return array.astype(array.dtype.newbyteorder("="), order="C", copy=False)


def _save_with_torch(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # torch only reads it
        tensors = {name: torch_tensor(name, array) for name, array in arrays.items()}
    import torch

    with open(path, "wb") as file:
        torch.save(tensors, file)
