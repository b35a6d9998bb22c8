"""Which tensor of a state dict fills which array of a model, and what is wrong if they do not match."""

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from numpy.typing import NDArray

from .layouts import LayerType, Parameter, reorder, reordered_shape
from .tensors import to_numpy

Rename: TypeAlias = Mapping[str, str] | Callable[[str], str] | None
Place = TypeVar("Place", bound=Hashable)


class StateDictError(ValueError):
    """A state dict that does not fit the model; the message lists every key at fault."""


@dataclasses.dataclass(frozen=True)
class Target(Generic[Place]):
    """One array of a Flax model: the torch name that fills it, how it is laid out, and where it is."""

    name: str
    parameter: Parameter
    shape: tuple[int, ...]
    place: Place


@dataclasses.dataclass
class Model(Generic[Place]):
    """What a walk over a Flax model finds."""

    targets: list[Target[Place]] = dataclasses.field(default_factory=list)
    torch_only: set[str] = dataclasses.field(default_factory=set)
    unsupported: list[str] = dataclasses.field(default_factory=list)

    def add_unsupported(self, path: str, layer: type, arrays: Iterable[str]) -> None:
        """Adds a layer that the table of layer types does not have."""
        advice = f"; use jax_tconv's {layer.__name__}" if layer.__name__ == "ConvTranspose" else ""
        self.unsupported.append(
            f"{path or 'the model itself'}: {layer.__qualname__} ({', '.join(sorted(arrays))}){advice}"
        )

    def add_layer(self, path: str, layer: LayerType, arrays: Mapping[str, tuple[tuple[int, ...], Place]]) -> None:
        """Adds the layer at `path`, whose Flax arrays have these shapes and places."""
        for parameter in layer.parameters:
            if parameter.flax_name in arrays:
                shape, place = arrays[parameter.flax_name]
                self.targets.append(Target(_join(path, parameter.torch_name), parameter, shape, place))
        self.torch_only.update(_join(path, name) for name in layer.torch_only)


@dataclasses.dataclass(frozen=True)
class Unmatched:
    """The keys that were left over, as torch's `load_state_dict` returns them."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def match(
    model: Model[Place], state_dict: Mapping[str, Any], rename: Rename, strict: bool
) -> tuple[dict[Place, NDArray[Any]], Unmatched]:
    """The new value of each of the model's arrays, laid out as Flax has it, and the keys left over.

    Raises StateDictError, listing everything at once, for a tensor of the wrong shape; and where `strict`, for a layer
    of a type without a rule, a missing key or an unexpected one.
    """
    tensors = {name: to_numpy(name, value) for name, value in renamed(state_dict, rename).items()}
    values: dict[Place, NDArray[Any]] = {}
    misshapen = []
    for target in model.targets:
        if target.name in tensors:
            tensor, parameter = tensors[target.name], target.parameter
            wanted = reordered_shape(target.shape, parameter.flax_axes, parameter.torch_axes)
            if tensor.shape == wanted:
                values[target.place] = reorder(tensor, parameter.torch_axes, parameter.flax_axes)
            else:
                misshapen.append(f"{target.name} {tensor.shape}, where the model needs {wanted}")
    names = {target.name for target in model.targets}
    missing = [target.name for target in model.targets if target.name not in tensors]
    unexpected = [name for name in tensors if name not in names and name not in model.torch_only]
    faults = {"tensors of the wrong shape": misshapen}
    if strict:
        faults |= {
            "layers of a type without a rule": model.unsupported,
            "missing from the state dict": missing,
            "unexpected in the state dict": unexpected,
        }
    if any(faults.values()):
        raise StateDictError(_message(faults, missing, unexpected))
    return values, Unmatched(missing, unexpected)


def renamed(state_dict: Mapping[str, Any], rename: Rename) -> dict[str, Any]:
    """`state_dict` under the names that `rename` gives; TypeError for what is none, ValueError where two names meet."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"state_dict must be a mapping of names to tensors, got {type(state_dict).__name__}; "
            "a file is read with jax_tconv.interop.read"
        )
    if rename is None:
        return dict(state_dict)
    if not callable(rename) and not isinstance(rename, Mapping):
        raise TypeError(f"rename must be a mapping of prefixes or a function of a name, got {type(rename).__name__}")
    result: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, value in state_dict.items():
        new = rename(name) if callable(rename) else _replace_prefix(name, rename)
        if new in sources:
            raise ValueError(f"rename must keep names apart, but gives {new!r} to both {sources[new]!r} and {name!r}")
        result[new], sources[new] = value, name
    return result


def _replace_prefix(name: str, prefixes: Mapping[str, str]) -> str:
    longest = max((prefix for prefix in prefixes if name.startswith(prefix)), key=len, default=None)
    return name if longest is None else prefixes[longest] + name[len(longest) :]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _message(faults: Mapping[str, list[str]], missing: list[str], unexpected: list[str]) -> str:
    lines = ["the state dict does not fit the model, which is left unchanged"]
    prefix = next((u.removesuffix(m) for m in missing for u in unexpected if u.endswith("." + m)), None)
    if prefix:
        lines.append(f"its names begin with {prefix!r}, which the model's do not: rename={{{prefix!r}: ''}} removes it")
    for fault, items in faults.items():
        if items:
            lines.append(f"{fault} ({len(items)}):")
            lines += [f"  {item}" for item in items]
    return "\n".join(lines)
