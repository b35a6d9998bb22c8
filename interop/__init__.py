"""PyTorch checkpoints into Flax and back: by layer type, never by rank, and strictly.

`read` opens a file and `write` makes one; `load_state_dict` fills an nnx model and `linen_variables` makes a linen
module's variables; `state_dict` and `linen_state_dict` go the other way; `verify` proves the result; `from_torch` makes
the nnx layer of a PyTorch one. The `kernel_*` functions convert one weight. torch is imported only where its modules
and tensors are given or wanted.
"""

from ._convert.linen import linen_state_dict as linen_state_dict
from ._convert.linen import linen_variables as linen_variables
from ._convert.nnx import load_state_dict as load_state_dict
from ._convert.nnx import state_dict as state_dict
from ._convert.report import Report as Report
from ._convert.report import Row as Row
from ._convert.report import StateDictError as StateDictError
from ._files import CheckpointError as CheckpointError
from ._files import read as read
from ._files import write as write
from ._files import write_orbax as write_orbax
from ._from_torch import from_torch as from_torch
from ._layers.kernels import kernel_from_flax as kernel_from_flax
from ._layers.kernels import kernel_from_torch as kernel_from_torch
from ._layers.kernels import kernel_to_torch as kernel_to_torch
from ._tensors import to_torch as to_torch
from ._verify.parity import verify as verify
from ._verify.verification import LayerDifference as LayerDifference
from ._verify.verification import Verification as Verification

__all__ = [
    "CheckpointError",
    "LayerDifference",
    "Report",
    "Row",
    "StateDictError",
    "Verification",
    "from_torch",
    "kernel_from_flax",
    "kernel_from_torch",
    "kernel_to_torch",
    "linen_state_dict",
    "linen_variables",
    "load_state_dict",
    "read",
    "state_dict",
    "to_torch",
    "verify",
    "write",
    "write_orbax",
]
