"""Tensors of any library as numpy arrays."""

import sys
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray


def to_numpy(name: str, value: Any) -> NDArray[Any]:
    """`value` as a numpy array of the same dtype; TypeError, naming `name`, if it is no array.

    Torch tensors and Parameters may be on any device, require a gradient, and be bfloat16.
    """
    torch = sys.modules.get("torch")  # a torch tensor cannot be here without torch
    if torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach().cpu().resolve_conj().resolve_neg()
        if tensor.dtype == torch.bfloat16:  # numpy has no such dtype, and torch no way to another's
            return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        nested = "; pass that dict itself, or read the file with entry=" if isinstance(value, Mapping) else ""
        raise TypeError(f"{name} must be an array or a torch tensor, got {type(value).__name__}{nested}")
    return np.asarray(value)
