"""PyTorch checkpoints into Flax: by layer type, never by rank, and strictly.

`read` opens a file, `load_state_dict` fills an nnx model, `linen_variables` makes a linen module's variables, and the
`kernel_*` functions convert one weight. torch is imported only to read its own files.
"""

from .files import read as read
from .kernels import kernel_from_flax as kernel_from_flax
from .kernels import kernel_from_torch as kernel_from_torch
from .kernels import kernel_to_torch as kernel_to_torch
from .linen import linen_variables as linen_variables
from .matching import StateDictError as StateDictError
from .nnx import load_state_dict as load_state_dict

__all__ = [
    "StateDictError",
    "kernel_from_flax",
    "kernel_from_torch",
    "kernel_to_torch",
    "linen_variables",
    "load_state_dict",
    "read",
]
