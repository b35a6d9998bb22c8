"""What a conversion is going to do: which tensors make which array, one at a time."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from .._layers.layouts import InexpressibleError, Parameter
from .._layers.model import Layer, Place, Slot
from .norms import SpectralShapeError
from .report import FAULTS, TOLERATED, Report, Row, StateDictError
from .sources import Source

# A conversion of more bytes takes seconds.
LARGE = 2**28


@dataclasses.dataclass(frozen=True)
class Target(Generic[Place]):
    """One array of the model, which tensors are to fill."""

    layer: Layer[Place]
    parameter: Parameter
    slot: Slot[Place]

    @property
    def torch_shape(self) -> tuple[int, ...]:
        """The shape of the tensors that fill it."""
        return self.parameter.torch_shape(self.slot.shape)

    def row_fields(self) -> dict[str, Any]:
        """What the report says of it where something is wrong."""
        slot = self.slot
        fields = {"target": slot.path, "target_shape": slot.shape, "target_dtype": str(slot.dtype)}
        return fields | {"needed_shape": self.torch_shape}


@dataclasses.dataclass(frozen=True)
class Filling(Generic[Place]):
    """One array of the model and the tensors that make it, by their names within the layer."""

    target: Target[Place]
    sources: Mapping[str, Source]

    def value(self) -> NDArray[Any]:
        """The array, laid out as Flax has it, in its dtype and in memory of its own."""
        slot, parameter = self.target.slot, self.target.parameter
        tensors = {name: source.load(self.target.layer.type.spectral_axis) for name, source in self.sources.items()}
        array = parameter.to_flax(tensors, slot.shape).astype(slot.dtype, copy=False)
        # JAX may keep the memory that it is given, and a tensor's can be the caller's or a file's.
        shared = any(np.may_share_memory(array, tensor) for tensor in tensors.values())
        return array.copy() if shared else array

    def inexpressible(self) -> list[Row]:
        """What is wrong with the tensors' values, which only making the array shows."""
        checked = self.target.parameter.without is not None
        if checked or any(source.how == "spectral norm" for source in self.sources.values()):
            try:
                self.value()
            except (InexpressibleError, SpectralShapeError) as error:
                return self.rows("inexpressible", str(error))
        return []

    def rows(self, status: str, note: str) -> list[Row]:
        """The same fault for each tensor."""
        return [source.row(status, note, **self.target.row_fields()) for source in self.sources.values()]

    def loaded_row(self) -> Row:
        """What the report says of an array that is filled."""
        slot, parameter = self.target.slot, self.target.parameter
        first, *others = self.sources.values()
        words = [f"{source.how} folded, comes back as a plain tensor" for source in (first, *others) if source.how]
        if others:
            words.append(f"summed, comes back as {first.name} with {others[0].name} zero")
        if parameter.rule:
            words.append(parameter.rule)
        row = first.row("loaded", target=slot.path, target_shape=slot.shape, target_dtype=str(slot.dtype))
        return dataclasses.replace(
            row,
            source=tuple(part for source in (first, *others) for part in source.parts),
            transform="; ".join(words),
            exact=not any(source.how for source in (first, *others)) and not others and first.dtype == slot.dtype,
        )


@dataclasses.dataclass(frozen=True)
class Plan(Generic[Place]):
    """What a conversion would do."""

    fillings: list[Filling[Place]]
    report: Report

    @property
    def size(self) -> int:
        """The bytes of the arrays that would be made."""
        slots = [filling.target.slot for filling in self.fillings]
        return sum(int(np.prod(slot.shape)) * slot.dtype.itemsize for slot in slots)

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
            yield filling.target.slot, filling.value()
