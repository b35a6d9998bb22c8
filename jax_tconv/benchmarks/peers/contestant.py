"""What every contestant offers: itself, made ready for one layer, as a function to time and results to check."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..layers import Arrays, Layer

# "training": the output and both gradients, for a given cotangent.
MODES = ("forward", "training")


class NotApplicable(Exception):
    """The contestant has no form of this layer; the message says why."""


@dataclass(frozen=True)
class Prepared:
    """A contestant made ready for one layer and mode.

    `call` runs it to completion. `results` runs it too and returns the output, and for training the gradients in the
    input and in the kernel, in the layout of `Arrays`. `compile_seconds` and `temporary_bytes` are None where nothing
    is compiled, or nobody tells.
    """

    call: Callable[[], object]
    results: Callable[[], tuple[np.ndarray, ...]]
    compile_seconds: float | None = None
    temporary_bytes: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True)
class Contestant:
    """A way to compute transposed convolutions; `family` is "ours", "torch" or "jax", the kind it is compared as."""

    name: str
    family: str
    prepare: Callable[[Layer, str, Arrays], Prepared]
