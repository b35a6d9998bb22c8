"""What of a module can be told before it runs: that it cannot be traced, or has no twin as it is."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from .._from_torch.conversion import _tied as tied
from .graph import Refusal
from .layers import is_layer


def untraceable(module: torch.nn.Module) -> list[Refusal]:
    """The parts that no run can be recorded of, or that a run would change."""
    found = []
    for path, part in _parts(module):
        if isinstance(part, torch.jit.ScriptModule):
            reason = "it is compiled by TorchScript, and has no Python code any more"
            found.append(Refusal(path, "", reason, "translate the module that it was made of"))
            break
        if type(part).__name__ == "OptimizedModule":
            reason = "it is compiled by torch.compile"
            found.append(Refusal(path, place_of(part), reason, "translate its _orig_mod"))
        if any(torch.nn.parameter.is_lazy(tensor) for tensor in (*part._parameters.values(), *part._buffers.values())):
            reason = f"it is a lazy {type(part).__name__} and has no weights yet"
            found.append(Refusal(path, place_of(part), reason, "call the network once"))
    return found


def unlike_flax(module: torch.nn.Module) -> list[Refusal]:
    """What no twin in Flax would have: hooks of layers, and parameters that several modules share.

    What hooks of other modules do is traced.
    """
    found = [
        Refusal(path, place_of(part), *hook) for path, part in _parts(module) if is_layer(part) for hook in _hooks(part)
    ]
    for words in tied(module):
        reason, _, advice = words.partition("; ")
        found.append(Refusal((), place_of(module), reason, advice))
    return found


def _parts(module: torch.nn.Module) -> Iterator[tuple[tuple[str, ...], Any]]:
    for path, part in module.named_modules():
        yield tuple(path.split(".")) if path else (), part


def _hooks(part: Any) -> Iterator[tuple[str, str]]:
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.nn.utils.weight_norm import WeightNorm

    for hook in (*part._forward_pre_hooks.values(), *part._forward_hooks.values()):
        if not isinstance(hook, WeightNorm | SpectralNorm):
            name = getattr(hook, "__qualname__", type(hook).__qualname__)
            yield f"it has a forward hook, {name}", "remove it (pruning, with torch.nn.utils.prune.remove)"


def place_of(module: Any) -> str:
    """File and line at which a module's forward method begins; nothing for torch's own and for what has no file."""
    try:
        code = inspect.unwrap(type(module).forward).__code__
    except AttributeError:
        return ""
    name = Path(code.co_filename).name
    return "" if type(module).__module__.startswith("torch.") else f"{name}:{code.co_firstlineno}"
