"""What the options of several commands mean: a factory in a module, renaming, flattened layers, inputs."""

import importlib
import inspect
import operator
import os
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from jax_tconv.interop._verify.axes import convention

from .layer_options import ints


def call_factory(argument: str, text: str) -> Any:
    """What `package.module:factory` returns when it is called; an nnx one may take `rngs`."""
    factory = _find_factory(argument, text)
    return factory(rngs=nnx.Rngs(0)) if _takes_rngs(factory) else factory()


def factory_call(argument: str, text: str) -> str:
    """The same call as Python code."""
    takes_rngs = _takes_rngs(_find_factory(argument, text))
    return f"{text.partition(':')[2]}({'rngs=nnx.Rngs(0)' if takes_rngs else ''})"


def _takes_rngs(factory: Any) -> bool:
    # An nnx class has its own `__call__` on the way to `__init__`, which hides the arguments.
    made_by = factory.__init__ if inspect.isclass(factory) else factory
    return "rngs" in inspect.signature(made_by).parameters


def _find_factory(argument: str, text: str) -> Any:
    module_name, _, name = text.partition(":")
    if not module_name or not name:
        raise ValueError(f"{argument} must be package.module:factory, such as my_models:make_decoder; got {text!r}")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise ValueError(f"{argument}: there is no module {error.name!r} here or among the installed ones") from error
    finally:
        sys.path.remove(os.getcwd())
    try:
        factory = operator.attrgetter(name)(module)
    except AttributeError as error:
        raise ValueError(f"{argument}: module {module_name!r} has no {name!r}") from error
    if not callable(factory):
        raise TypeError(
            f"{argument}: {text} must be a class or a function without arguments, got {type(factory).__name__}"
        )
    return factory


def conversion(
    rename: list[str], drop: list[str], match: str, flatten: list[str], layout: list[str], downcast: bool
) -> dict[str, Any]:
    """The options of a conversion as the arguments that `interop.load_state_dict` and `linen_variables` take."""
    renames = pairs(rename, "--rename must be OLD=NEW, two prefixes, of which either may be empty")
    shapes = pairs(flatten, "--flatten must be LAYER=HEIGHT,WIDTH,CHANNELS")
    return {
        "rename": renames | dict.fromkeys(drop),
        "match": match,
        "flatten": {name: ints("--flatten", shape) for name, shape in shapes.items()},
        "layouts": pairs(layout, "--layout must be ARRAY=TORCH -> FLAX, such as 'const=1 c h w -> 1 h w c'"),
        "downcast": downcast,
    }


def pairs(texts: list[str], form: str) -> dict[str, str]:
    """`name=value` texts as a dict; ValueError, with the form that they must have, for any other text."""
    for text in texts:
        if "=" not in text:
            raise ValueError(f"{form}; got {text!r}")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def shapes(inputs: Sequence[str]) -> list[jax.ShapeDtypeStruct]:
    """`1,3,64,64` or `2,7:int32` as shapes with dtypes."""
    result = []
    for text in inputs:
        shape, _, dtype = text.partition(":")
        try:
            kind = np.dtype(dtype or "float32")
        except TypeError:
            raise ValueError(f"--input must end in a dtype such as :int32, got {text!r}") from None
        result.append(jax.ShapeDtypeStruct(ints("--input", shape), kind))
    return result


def flax_shapes(inputs: Sequence[str]) -> list[jax.ShapeDtypeStruct]:
    """The same, given as PyTorch has them, with the channels where Flax has them by convention; indices as they are."""
    moved = ((x, convention(len(x.shape)) if x.dtype.kind in "fc" else range(len(x.shape))) for x in shapes(inputs))
    return [jax.ShapeDtypeStruct([x.shape[axis] for axis in order], x.dtype) for x, order in moved]


def random_arrays(inputs: Sequence[jax.ShapeDtypeStruct]) -> list[Any]:
    """Normal values of these shapes, the same ones every time; zeros for ints, which are indices."""
    generator = np.random.default_rng(0)
    return [
        generator.standard_normal(x.shape).astype(x.dtype) if x.dtype.kind in "fc" else np.zeros(x.shape, x.dtype)
        for x in inputs
    ]
