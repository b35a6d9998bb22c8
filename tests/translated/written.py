"""The source of a translation as a module of Python, and the model that it makes. Nothing here needs torch."""

import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
from flax import nnx

from jax_tconv import interop


def load(path: Path) -> ModuleType:
    """Runs the file as a module of its own, in which torch cannot be imported."""
    spec = importlib.util.spec_from_file_location(f"translated_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    hidden = {name: sys.modules[name] for name in ("torch",) if name in sys.modules}
    sys.modules["torch"] = None
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["torch"]
        sys.modules.update(hidden)
    return module


def make(module: ModuleType, class_name: str) -> nnx.Module:
    """The model with initial values: of the class of that name, or of the last one in the file."""
    classes = [one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == module.__name__]
    kind = getattr(module, class_name, None) or classes[-1]
    arguments = {"rngs": nnx.Rngs(0)} if "rngs" in inspect.signature(kind.__init__).parameters else {}
    with jax.default_prng_impl("unsafe_rbg"):  # compiles initial values, which are not kept, in a fifth of the time
        return kind(**arguments)


def filled(module: ModuleType, class_name: str, state_dict: Mapping[str, Any]) -> nnx.Module:
    """The model with these tensors, in evaluation mode.

    Initial values take a minute to compile. They are made only where the model has arrays that are in no state dict.
    """
    model = nnx.eval_shape(lambda: make(module, class_name))
    interop.load_state_dict(model, state_dict)
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(nnx.state(model))):
        model = make(module, class_name)
        interop.load_state_dict(model, state_dict)
    model.eval()
    return model
