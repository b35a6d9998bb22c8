"""What an entry of the lists holds, and the arrays that its network has and takes."""

import dataclasses
from collections.abc import Callable

import torch

NORMS = (torch.nn.modules.batchnorm._NormBase, torch.nn.GroupNorm, torch.nn.LayerNorm, torch.nn.RMSNorm)


@dataclasses.dataclass(frozen=True)
class Integers:
    """An input of whole numbers from 0 to `below - 1`, such as time steps or tokens."""

    shape: tuple[int, ...]
    below: int


# A shape stands for normally distributed numbers.
Input = tuple[int, ...] | Integers


@dataclasses.dataclass(frozen=True)
class Network:
    """A network and its inputs, whose shapes are torch's, each with the batch first.

    `other` are inputs of other spatial sizes, None where the network takes no others.
    """

    name: str
    make: Callable[[], torch.nn.Module]
    inputs: tuple[Input, ...]
    other: tuple[Input, ...] | None


def arrays(inputs: tuple[Input, ...], batch: int | None = None, seed: int = 2) -> tuple[torch.Tensor, ...]:
    """The inputs, the same at each call, with `batch` in place of the batch that they have."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(array(given, batch, generator) for given in inputs)


def array(given: Input, batch: int | None, generator: torch.Generator) -> torch.Tensor:
    """One of them."""
    shape = given.shape if isinstance(given, Integers) else given
    if batch is not None:
        shape = (batch, *shape[1:])
    if isinstance(given, Integers):
        return torch.randint(given.below, shape, generator=generator)
    return torch.randn(shape, generator=generator)


def trained(network: Network) -> torch.nn.Module:
    """The network as if trained, in evaluation mode: no value is what torch starts with, the same at each call.

    Buffers stay as they are, such as tables of positions, except for those that have one value throughout, such as
    running statistics.
    """
    torch.manual_seed(0)  # for what a network draws when it is made, and keeps as a buffer
    module = network.make()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for place, part in module.named_modules():
            for name, parameter in part.named_parameters(recurse=False):
                fill(parameter, part, f"{place}.{name}", generator)
        for name, buffer in module.named_buffers():
            if name.endswith("num_batches_tracked"):
                buffer.random_(1, 10_000, generator=generator)
            elif buffer.is_floating_point() and buffer.numel() > 1 and is_constant(buffer):
                fill_like_one(buffer, generator)
    return module.eval()


def fill(parameter: torch.nn.Parameter, part: torch.nn.Module, path: str, generator: torch.Generator) -> None:
    """Values of the size that training would give this parameter of `part`, so that no depth makes them vanish."""
    name = path.rpartition(".")[2]
    if isinstance(part, torch.nn.PReLU):
        parameter.uniform_(0.1, 0.4, generator=generator)
    elif name == "weight_g" or path.endswith("parametrizations.weight.original0"):
        parameter.uniform_(0.5, 0.9, generator=generator)  # half of He's: what follows need not be a ReLU
    elif parameter.ndim <= 1 or isinstance(part, NORMS) or (parameter.shape[0] == 1 and not name.startswith("weight")):
        fill_like_one(parameter, generator)  # also positions, tokens, and scales of channels
    else:
        parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5, generator=generator)  # He's variance


def fill_like_one(tensor: torch.Tensor, generator: torch.Generator) -> None:
    """About one where it starts with another constant than zero, as scales do; else about zero, as biases do."""
    if is_constant(tensor) and tensor.reshape(-1)[0] != 0:
        tensor.uniform_(0.5, 1.5, generator=generator)
    else:
        tensor.normal_(0, 0.3, generator=generator)


def is_constant(tensor: torch.Tensor) -> bool:
    """Whether it has one value throughout."""
    return bool((tensor == tensor.reshape(-1)[:1]).all())
