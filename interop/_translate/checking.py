"""What of a module can be told before it runs: that it cannot be traced, or has no twin as it is."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from .._from_torch.conversion import hooks, parametrizations, tied
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
    """What no twin in Flax would have: hooks of layers, parametrizations, and parameters that several modules share.

    What hooks of other modules do is traced.
    """
    found = [
        _refusal(path, part, words)
        for path, part in _parts(module)
        for words in (*(hooks(part) if is_layer(part) else ()), *parametrizations(part))
    ]
    return found + [_refusal((), module, words) for words in tied(module)]


def _refusal(path: tuple[str, ...], part: Any, words: str) -> Refusal:
    reason, _, advice = words.partition("; ")
    return Refusal(path, place_of(part), reason, advice)


def _parts(module: torch.nn.Module) -> Iterator[tuple[tuple[str, ...], Any]]:
    for path, part in module.named_modules():
        yield tuple(path.split(".")) if path else (), part


def place_of(module: Any) -> str:
    """File and line at which a module's forward method begins; nothing for torch's own and for what has no file."""
    try:
        code = inspect.unwrap(type(module).forward).__code__
    except AttributeError:
        return ""
    name = Path(code.co_filename).name
    return "" if type(module).__module__.startswith("torch.") else f"{name}:{code.co_firstlineno}"
