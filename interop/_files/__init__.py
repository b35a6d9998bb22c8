"""Checkpoint files: read by content, as views of the file and without running anything in it; written whole or not."""

from .reading import read as read
from .refusal import CheckpointError as CheckpointError
from .writing import write as write
from .writing import write_orbax as write_orbax

__all__ = ["CheckpointError", "read", "write", "write_orbax"]
