"""Tensors of any library as numpy arrays, and numpy arrays as torch tensors, in the dtypes that torch has."""

import sys
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ._text import printable

_NUMPY = "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 float32 float64 complex64 complex128"
_ML_DTYPES = "bfloat16 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu"
# The dtypes that torch has, by their names.
DTYPES = {name: np.dtype(name) for name in _NUMPY.split()}
DTYPES |= {name: np.dtype(getattr(ml_dtypes, name)) for name in _ML_DTYPES.split()}


def to_numpy(name: str, value: Any) -> NDArray[Any]:
    """`value` as a numpy array of the same dtype; TypeError, naming `name`, if there is none.

    Torch tensors and Parameters may be on any device, require a gradient, and be bfloat16 or float8.
    """
    torch = sys.modules.get("torch")  # a torch tensor cannot be here without torch
    if torch is not None and isinstance(value, torch.Tensor):
        return _torch_to_numpy(torch, name, value)
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        nested = "; pass that dict itself, or read the file with entry=" if isinstance(value, Mapping) else ""
        raise TypeError(f"{printable(name)} must be an array or a torch tensor, got {type(value).__name__}{nested}")
    return np.asarray(value)


def to_torch(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict as torch tensors, for `torch_module.load_state_dict` or `torch.save`.

    Args:
      state_dict: names to arrays, of numpy, JAX or torch.

    Returns:
      A dict of the same names to torch tensors on the CPU, bit for bit the same, each a copy.

    Raises:
      ImportError: torch is not installed.
      TypeError: a value is not an array, or has a dtype that torch does not have.

    Example:
      >>> import numpy as np
      >>> from jax_tconv import interop
      >>> interop.to_torch({"weight": np.ones((8, 4, 2, 2), "float32")})["weight"].shape
      torch.Size([8, 4, 2, 2])
    """
    return {
        name: torch_tensor(str(name), np.array(to_numpy(str(name), value), order="C"))
        for name, value in state_dict.items()
    }


def torch_tensor(name: str, array: NDArray[Any]) -> Any:
    """A torch tensor over a contiguous array's memory; TypeError, naming `name`, if torch has no such dtype."""
    try:
        import torch
    except ImportError as error:
        raise ImportError("torch tensors need torch; install it with: pip install 'jax_tconv[torch]'") from error
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.name not in DTYPES:
        raise TypeError(f"{printable(name)} is {array.dtype.name}, which torch has no type for")
    if array.dtype.isbuiltin == 1:
        return torch.from_numpy(array)
    same_size = np.int16 if array.dtype.itemsize == 2 else np.uint8  # torch does not take arrays of ml_dtypes
    return torch.from_numpy(array.view(same_size)).view(getattr(torch, array.dtype.name))


def _torch_to_numpy(torch: Any, name: str, tensor: Any) -> NDArray[Any]:
    if tensor.is_quantized:
        raise TypeError(f"{printable(name)} must be a plain tensor, got a quantized one; pass its .dequantize()")
    if tensor.layout != torch.strided:
        raise TypeError(
            f"{printable(name)} must be a dense tensor, got one of layout {tensor.layout}; pass its .to_dense()"
        )
    if tensor.is_meta:
        raise TypeError(f"{printable(name)} must have values, but is on the meta device, where tensors have none")
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise TypeError(f"{printable(name)} is {dtype}, which numpy has no type for; pass it converted with .to(...)")
    if DTYPES[dtype].isbuiltin == 1:
        return tensor.numpy()
    same_size = torch.int16 if tensor.dtype.itemsize == 2 else torch.uint8  # torch does not make arrays of ml_dtypes
    return tensor.view(same_size).numpy().view(DTYPES[dtype])
