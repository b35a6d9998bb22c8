"""PyTorch modules as nnx models: the walk, the table of twins, and the forms that tensors have on their way."""

from .conversion import from_torch as from_torch

__all__ = ["from_torch"]
