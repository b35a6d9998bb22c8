"""PyTorch checkpoints into Flax and back: by layer type, never by rank, and strictly.

`read` opens a file and `write` makes one; `load_state_dict` fills an nnx model and `linen_variables` makes a linen
module's variables; `state_dict` and `linen_state_dict` go the other way; `verify` proves the result; `translate` writes
the Flax source of a PyTorch network, and `from_torch` makes the model. The `kernel_*` functions convert one weight.
torch is imported only where its modules and tensors are given or wanted.
"""

from ._convert.linen import linen_state_dict, linen_variables
from ._convert.nnx import load_state_dict, state_dict
from ._convert.report import Report, Row, StateDictError
from ._convert.saved import load
from ._files.reading import read
from ._files.refusal import CheckpointError
from ._files.writing import write, write_orbax
from ._layers.kernels import kernel_from_flax, kernel_from_torch, kernel_to_torch
from ._tensors import to_torch
from ._translate.translation import TranslationError, from_torch, translate
from ._verify.parity import verify
from ._verify.verification import LayerDifference, Verification

__all__ = [
    "CheckpointError",
    "LayerDifference",
    "Report",
    "Row",
    "StateDictError",
    "TranslationError",
    "Verification",
    "from_torch",
    "kernel_from_flax",
    "kernel_from_torch",
    "kernel_to_torch",
    "linen_state_dict",
    "linen_variables",
    "load",
    "load_state_dict",
    "read",
    "state_dict",
    "to_torch",
    "translate",
    "verify",
    "write",
    "write_orbax",
]
