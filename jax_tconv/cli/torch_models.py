"""The PyTorch module of `--torch` or of `translate`, and a checkpoint in it."""

from typing import Any

from jax_tconv import interop
from jax_tconv.interop._convert.naming import new_names

from .loading import call_factory


def make_torch_model(argument: str, text: str, command: str) -> Any:
    """What `package.module:factory` makes, which must be a torch module."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{command} runs the PyTorch module, so it needs torch: pip install 'jax_tconv[torch]'"
        ) from error
    module = call_factory(argument, text)
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"{argument} must make a torch.nn.Module, got {type(module).__name__}")
    return module


def fill(module: Any, state_dict: Any) -> None:
    """Loads a checkpoint's tensors into a torch module."""
    tensors = interop.to_torch(state_dict)
    # The module's names may lack the prefix of a wrapper.
    names: Any = new_names(tensors, None, module.state_dict())
    try:
        module.load_state_dict({names[name]: tensor for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise ValueError(f"the checkpoint does not fit the PyTorch module: {error}") from error
