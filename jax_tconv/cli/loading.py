"""What the options of several commands mean: a factory in a module, renaming, flattened layers, inputs."""

import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx


def call_factory(argument: str, text: str) -> Any:
    """What `package.module:factory` returns when it is called; an nnx one may take `rngs`."""
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
    factory: Any = module
    for part in name.split("."):
        if not hasattr(factory, part):
            raise ValueError(f"{argument}: module {module_name!r} has no {name!r}")
        factory = getattr(factory, part)
    if not callable(factory):
        raise TypeError(
            f"{argument}: {text} must be a class or a function without arguments, got {type(factory).__name__}"
        )
    # An nnx class has its own `__call__` on the way to `__init__`, which hides the arguments.
    made_by = factory.__init__ if inspect.isclass(factory) else factory
    parameters = inspect.signature(made_by).parameters
    return factory(rngs=nnx.Rngs(0)) if "rngs" in parameters else factory()


def conversion(
    rename: Sequence[str],
    drop: Sequence[str],
    match: str,
    flatten: Sequence[str],
    layout: Sequence[str],
    downcast: bool,
) -> dict[str, Any]:
    """The options of a conversion as the arguments that `interop.load_state_dict` and `linen_variables` take."""
    return {
        "rename": renaming(rename, drop),
        "match": match,
        "flatten": feature_shapes(flatten),
        "layouts": layout_rules(layout),
        "downcast": downcast,
    }


def renaming(renames: Sequence[str], drops: Sequence[str]) -> dict[str, str | None]:
    """`old=new` prefixes, and prefixes of tensors to drop, as `rename` takes them."""
    result: dict[str, str | None] = {}
    for text in renames:
        old, separator, new = text.partition("=")
        if not separator:
            raise ValueError(f"--rename must be OLD=NEW, two prefixes, of which either may be empty; got {text!r}")
        result[old] = new
    return result | dict.fromkeys(drops)


def feature_shapes(flattens: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """`name=height,width,channels` as `flatten` takes it."""
    result = {}
    for text in flattens:
        name, separator, shape = text.partition("=")
        if not separator:
            raise ValueError(f"--flatten must be LAYER=HEIGHT,WIDTH,CHANNELS; got {text!r}")
        result[name] = ints("--flatten", shape)
    return result


def layout_rules(layouts: Sequence[str]) -> dict[str, str]:
    """`name=c h w -> h w c` as `layouts` takes it."""
    pairs = [text.partition("=") for text in layouts]
    for name, separator, _ in pairs:
        if not separator:
            raise ValueError(f"--layout must be ARRAY=TORCH -> FLAX, such as 'const=1 c h w -> 1 h w c'; got {name!r}")
    return {name: rule for name, _, rule in pairs}


def ints(option: str, text: str) -> tuple[int, ...]:
    """`1,3,64,64` as a tuple."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{option} must be ints with commas between them, such as 1,3,64,64; got {text!r}") from None


def shapes(inputs: Sequence[str]) -> list[jax.ShapeDtypeStruct]:
    """`1,64,64,3` or `2,7:int32` as shapes with dtypes."""
    result = []
    for text in inputs:
        shape, _, dtype = text.partition(":")
        try:
            kind = np.dtype(dtype or "float32")
        except TypeError:
            raise ValueError(f"--input must end in a dtype such as :int32, got {text!r}") from None
        result.append(jax.ShapeDtypeStruct(ints("--input", shape), kind))
    return result


def random_arrays(inputs: Sequence[jax.ShapeDtypeStruct]) -> list[Any]:
    """Normal values of these shapes, the same ones every time; zeros for ints, which index."""
    generator = np.random.default_rng(0)
    return [
        generator.standard_normal(x.shape).astype(x.dtype) if x.dtype.kind in "fc" else np.zeros(x.shape, x.dtype)
        for x in inputs
    ]
