"""What an entry of the lists holds, and the arrays that its network takes."""

import dataclasses
from collections.abc import Callable

import torch


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
