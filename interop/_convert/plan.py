"""What a conversion is going to do: which tensors make which array, one at a time."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from .._layers.layouts import Parameter
from .._layers.model import Layer, Place, Slot
from .parametrizations import Source
from .report import FAULTS, TOLERATED, Report, Row, StateDictError

# Bytes from which on a conversion takes seconds.
LARGE = 2**28


@dataclasses.dataclass(frozen=True)
class Filling(Generic[Place]):
    """One array of the model and the tensors that make it."""

    layer: Layer[Place]
    parameter: Parameter
    slot: Slot[Place]
    sources: Mapping[str, Source]

    @property
    def names(self) -> list[str]:
        """The model's names for the tensors."""
        return [source.name for source in self.sources.values()]

    def value(self) -> NDArray[Any]:
        """The array, laid out as Flax has it, in its dtype and in memory of its own."""
        axis = self.layer.type.spectral_axis if self.layer.type else 0
        tensors = {name: source.load(axis) for name, source in self.sources.items()}
        array = self.parameter.to_flax(tensors, self.slot.shape).astype(self.slot.dtype, copy=False)
        # JAX may keep the memory that it is given, and a tensor's can be the caller's or a file's.
        shared = any(np.may_share_memory(array, tensor) for tensor in tensors.values())
        return array.copy() if shared else array

    def row(self) -> Row:
        """What the report says of it."""
        sources = list(self.sources.values())
        words = [f"{source.how} folded, comes back as a plain tensor" for source in sources if source.how]
        if self.parameter.added is not None:
            words.append(f"summed, comes back as {sources[0].name} with {sources[1].name} zero")
        if self.parameter.rule:
            words.append(self.parameter.rule)
        dtype = str(sources[0].dtype)
        return Row(
            "loaded",
            sources[0].name,
            tuple(part for source in sources for part in source.parts),
            self.slot.path,
            sources[0].shape,
            self.slot.shape,
            dtype,
            str(self.slot.dtype),
            transform="; ".join(words),
            exact=not any(source.how for source in sources)
            and self.parameter.added is None
            and dtype == str(self.slot.dtype),
        )


@dataclasses.dataclass(frozen=True)
class Plan(Generic[Place]):
    """What a conversion would do."""

    fillings: list[Filling[Place]]
    report: Report

    @property
    def size(self) -> int:
        """The bytes of the arrays that would be made."""
        return sum(int(np.prod(filling.slot.shape)) * filling.slot.dtype.itemsize for filling in self.fillings)

    def check(self, strict: bool) -> None:
        """Raises StateDictError for what is wrong; without `strict` only for what would make wrong numbers."""
        if any(row.status in FAULTS and (strict or row.status not in TOLERATED) for row in self.report.rows):
            raise StateDictError(self.report)

    def values(self) -> Iterator[tuple[Slot[Place], NDArray[Any]]]:
        """Each array and its new value, made one at a time; a large conversion shows a progress bar on a terminal."""
        fillings: Any = self.fillings
        if self.size > LARGE:
            console = Console(stderr=True)
            fillings = track(fillings, "converting", console=console, transient=True, disable=not console.is_terminal)
        for filling in fillings:
            yield filling.slot, filling.value()
