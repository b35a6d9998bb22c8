"""Weights under weight norm and spectral norm: in Flax each is one array, as it is in evaluation."""

from collections.abc import Iterator
from typing import Any

from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

# What the two keep in a module's place of a weight, by the ends of the names.
_PARTS = {WeightNorm: ("_g", "_v"), SpectralNorm: ("_orig", "_u", "_v")}


def normed_by_hook(module: Any, tensor: Any) -> tuple[str, ...] | None:
    """The path below a module at which a hook keeps this tensor; None for any other tensor."""
    for path, part in module.named_modules():
        for hook in _hooks(part):
            if vars(part).get(hook.name) is tensor:
                return (*(path.split(".") if path else ()), hook.name)
    return None


def folded_weights(module: Any) -> dict[str, Any]:
    """A module's own weights under norms, by name."""
    found = {hook.name: getattr(module, hook.name) for hook in _hooks(module)}
    if is_parametrized(module):
        found |= {word: getattr(module, word) for word in module.parametrizations}
    return found


def parts_of_folded(module: Any) -> set[str]:
    """The names of what a module keeps to compute them."""
    parts = {hook.name + end for hook in _hooks(module) for end in _PARTS[type(hook)]}
    return parts | ({"parametrizations"} if is_parametrized(module) else set())


def _hooks(module: Any) -> Iterator[Any]:
    return (hook for hook in module._forward_pre_hooks.values() if type(hook) in _PARTS)
