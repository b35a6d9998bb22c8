"""Loading what was saved from Flax: arrays under their own paths, which need no conversion."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, overload

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx, traverse_util

from .._files.orbax_files import is_orbax, orbax_shapes, restore_orbax
from .._files.reading import read
from .._files.refusal import CheckpointError, listed, reading
from .._layers.linen_walk import COLLECTIONS, find_layers
from .._layers.model import read_hints
from .._text import printable
from .placing import placed
from .streams import start_streams

Arrays: TypeAlias = Mapping[str, Any]
Model = TypeVar("Model", bound=nnx.Module)

_TORCH_ENDINGS = ("weight", "running_mean", "running_var", "weight_g", "weight_v", "in_proj_weight", "weight_hh_l0")


@overload
def load(model: Model, path: str | os.PathLike[str]) -> Model: ...


@overload
def load(
    model: nn.Module | Mapping[str, Any], path: str | os.PathLike[str], *example_inputs: Any
) -> dict[str, Any]: ...


def load(model: Any, path: str | os.PathLike[str], *example_inputs: Any) -> Any:
    """Loads what `jax-tconv convert` or `write_orbax` wrote into a Flax model like the one that it was written from.

    Every array must be there, in the model's shape and dtype, and no other may be. Arrays are read one at a time, each
    onto the devices of the one that it replaces; with a sharding over several devices, each gets only its shard.

    Args:
      model: an nnx model, which is filled in place; `nnx.eval_shape(lambda: Model(...))` saves the time and the memory
        of initial values. Or a linen module. Or a linen module's variables, whose arrays may be
        `jax.ShapeDtypeStruct`, with shardings or without.
      path: an Orbax checkpoint, or a file of arrays by their dotted paths, such as `params.up.kernel`.
      *example_inputs: for a linen module, what it is called with; only the shapes and dtypes of arrays matter, so
        `jax.ShapeDtypeStruct` works.

    Returns:
      The nnx model itself, or the variables that a linen module's `apply` takes. Random streams that the file lacks,
      such as a Dropout's, stay as they are; those of a model from `nnx.eval_shape` begin anew, from seed 0
      (`nnx.reseed` sets others).

    Raises:
      FileNotFoundError: no such file.
      CheckpointError (a ValueError): the file is broken, or does not fit: all that is missing, unexpected or of another
        shape or dtype is listed. The model is left as it was.
      TypeError: an unusable argument.

    Example:
      >>> from flax import nnx
      >>> from jax_tconv import interop
      >>> from jax_tconv.nnx import ConvTranspose
      >>> trained = ConvTranspose(8, 4, (2, 2), strides=2, rngs=nnx.Rngs(0))
      >>> interop.write_orbax("up", nnx.state(trained))
      >>> model = nnx.eval_shape(lambda: ConvTranspose(8, 4, (2, 2), strides=2, rngs=nnx.Rngs(0)))
      >>> bool((interop.load(model, "up").kernel[...] == trained.kernel[...]).all())
      True
    """
    path = Path(path)
    if isinstance(model, nnx.Module) and not example_inputs:
        _fill(model, path)
        return model
    if isinstance(model, nn.Module):
        wanted, _ = find_layers(model, example_inputs, read_hints(None, None))
    elif isinstance(model, Mapping) and not example_inputs:
        wanted = traverse_util.flatten_dict(nn.meta.unbox(dict(model)))
    else:
        given = type(model).__name__ + (f" and {len(example_inputs)} example inputs" if example_inputs else "")
        raise TypeError(
            "model must be an nnx model, a linen module with the inputs that it is called with, or a linen module's "
            f"variables; got {given}"
        )
    places = {".".join(map(str, place)): place for place in wanted}
    values = _read(path, {name: wanted[place] for name, place in places.items()}, lambda name: False)
    return traverse_util.unflatten_dict({place: values[name] for name, place in places.items()})


def _fill(model: nnx.Module, path: Path) -> None:
    held = dict(nnx.to_flat_state(nnx.state(model)))
    places = {".".join(map(str, place)): place for place in held}
    arrays = {
        name: held[place].get_value() if isinstance(held[place], nnx.Variable) else held[place]
        for name, place in places.items()
    }

    def may_lack(name: str) -> bool:
        """Whether the file may be without an array: one that no checkpoint fills, and that has its value already."""
        variable = held[places[name]]
        has_value = not isinstance(arrays[name], jax.ShapeDtypeStruct)
        return isinstance(variable, nnx.RngState) or (has_value and not isinstance(variable, nnx.Param | nnx.BatchStat))

    values = _read(path, arrays, may_lack)
    new = {}
    for name, value in values.items():
        old = held[places[name]]
        new[places[name]] = old.replace(value) if isinstance(old, nnx.Variable) else value
    nnx.update(model, nnx.from_flat_state(new.items()))
    start_streams(model)


def _read(path: Path, wanted: Arrays, may_lack: Callable[[str], bool]) -> dict[str, Any]:
    """The arrays of a file by the names in `wanted`, on the devices of those there; CheckpointError if they differ."""
    with reading(path):
        exists = path.exists()
    if not exists:
        raise FileNotFoundError(f"no such file: {path}")
    if is_orbax(path):
        with reading(path):
            held: Arrays = orbax_shapes(path)
    else:
        held = read(path)
    # Orbax adds a name to the paths of nnx's variables.
    names = {_without_value(name, held, wanted): name for name in held}
    faults = list(_faults({name: held[old] for name, old in names.items()}, wanted, may_lack))
    if faults:
        raise CheckpointError("\n".join([printable(f"{path} does not fit the model (nothing is loaded)"), *faults]))
    if is_orbax(path):
        shardings = {old: _sharding(wanted[name]) for name, old in names.items()}
        with reading(path):
            restored = restore_orbax(path, shardings)
        return {name: _key(restored[old], wanted[name]) for name, old in names.items()}
    values = {name: _key(placed(held[old], wanted[name]), wanted[name]) for name, old in names.items()}
    return dict(jax.block_until_ready(values))


def _without_value(name: str, held: Arrays, wanted: Arrays) -> str:
    short = name.removesuffix(".value")
    return short if short in wanted and short not in held else name


def _faults(held: Arrays, wanted: Arrays, may_lack: Callable[[str], bool]) -> Iterator[str]:
    """What does not fit, a paragraph for each kind, and what to do about it."""
    missing = [name for name in wanted if name not in held and not may_lack(name)]
    unexpected = [name for name in held if name not in wanted]
    both = {name: (_as_saved(wanted[name]), held[name]) for name in wanted if name in held}
    misshapen = {name: pair for name, pair in both.items() if tuple(pair[0].shape) != tuple(pair[1].shape)}
    other = {name: pair for name, pair in both.items() if pair[0].dtype != pair[1].dtype}
    if not (missing or unexpected or misshapen or other):
        return
    yield _advice(held, wanted, missing)
    words = {
        f"missing from the file ({len(missing)})": [f"{name} {_described(wanted[name])}" for name in missing],
        f"unexpected in the file ({len(unexpected)})": [f"{name} {_described(held[name])}" for name in unexpected],
        f"of another shape ({len(misshapen)})": [
            f"{name} {tuple(b.shape)}, where the model needs {tuple(a.shape)}" for name, (a, b) in misshapen.items()
        ],
        f"of another dtype ({len(other)}); make the model with the file's, as by param_dtype=": [
            f"{name} {b.dtype}, where the model has {a.dtype}" for name, (a, b) in other.items()
        ],
    }
    for heading, items in words.items():
        if items:
            yield "\n  ".join([f"{heading}:", *map(printable, items)])


def _advice(held: Arrays, wanted: Arrays, missing: list[str]) -> str:
    """What to do about names that differ."""
    linen = [any(name.partition(".")[0] in COLLECTIONS for name in names) for names in (held, wanted)]
    if not held.keys() & wanted.keys() and any(name.rpartition(".")[2] in _TORCH_ENDINGS for name in held):
        function = "linen_variables(module" if linen[1] else "load_state_dict(model"
        return f"its names are PyTorch's; interop.{function}, interop.read(path)) converts them"
    if linen[0] != linen[1]:
        kinds = ["a linen module" if is_linen else "an nnx model" for is_linen in linen]
        return (
            f"it has the arrays of {kinds[0]}, and this is {kinds[1]}: load it into the kind that it was written from"
        )
    abstract = [name for name in missing if isinstance(wanted[name], jax.ShapeDtypeStruct)]
    if abstract and len(missing) == len(abstract) < len(wanted) and not linen[1]:
        return (
            f"if the model sets {listed(abstract, 3)} itself, make it without nnx.eval_shape, which loses such values"
        )
    return "make the model as it was made when the file was written"


def _as_saved(array: Any) -> Any:
    """What a file has for an array: for random keys, their data."""
    if not jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return array
    return jax.eval_shape(jax.random.key_data, jax.ShapeDtypeStruct(array.shape, array.dtype))


def _key(value: jax.Array, like: Any) -> jax.Array:
    """`value`, made into random keys if `like` is some."""
    is_key = jnp.issubdtype(like.dtype, jax.dtypes.prng_key) and value.dtype != like.dtype
    return jax.random.wrap_key_data(value) if is_key else value


def _sharding(array: Any) -> Any:
    # That of a key has another rank than its data.
    return None if jnp.issubdtype(array.dtype, jax.dtypes.prng_key) else getattr(array, "sharding", None)


def _described(array: Any) -> str:
    return f"{tuple(array.shape)} {array.dtype}"
