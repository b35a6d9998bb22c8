"""Runs a translation in a process without torch.

`python -m tests.translated.alone SOURCE CLASS WEIGHTS INPUTS OUTPUTS`, where WEIGHTS is a safetensors file, and INPUTS
and OUTPUTS are .npz. For a network that returns one array, or several in a tuple.
"""

import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jax_tconv import interop
from tests.translated import written


class NoTorch:
    """A finder of modules that finds no torch. None in `sys.modules` would do, but for einops, which looks there."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] == "torch":
            raise ImportError("torch is hidden")


def main(source: str, class_name: str, weights: str, inputs: str, outputs: str) -> None:
    """Writes what the model returns."""
    assert "torch" not in sys.modules
    sys.meta_path.insert(0, NoTorch())
    model = written.filled(written.load(Path(source)), class_name, interop.read(weights))
    given = np.load(inputs)
    with jax.default_matmul_precision("highest"):
        result = nnx.jit(lambda model, *given: model(*given))(model, *(given[name] for name in given.files))
    np.savez(outputs, *jax.tree.leaves(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
