"""What a conversion is going to do: which tensors make which array, one at a time."""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from .._layers.layouts import InexpressibleError, Parameter
from .._layers.model import Layer, Slot
from .norms import SpectralShapeError
from .report import FAULTS, TOLERATED, Report, Row, StateDictError
from .sources import Source

# A conversion of more bytes takes seconds.
LARGE = 2**28


@dataclasses.dataclass(frozen=True)
class Filling:
    """One array of the model, and the tensors that are to make it, by their names within the layer."""

    layer: Layer
    parameter: Parameter
    slot: Slot
    sources: Mapping[str, Source]

    @functools.cached_property
    def torch_shape(self) -> tuple[int, ...]:
        """The shape that the tensors must have."""
        return self.parameter.torch_shape(self.slot.shape)

    def value(self) -> NDArray[Any]:
        """The array, laid out as Flax has it and in its dtype; where nothing is computed, a view of the tensor."""
        tensors = {name: source.load(self.layer.type.spectral_axis) for name, source in self.sources.items()}
        if self.parameter.added is not None:
            # torch adds after loading, in the dtype of its module, not in that of a float16 checkpoint.
            wide = np.result_type(self.slot.dtype, np.float32)
            tensors = {name: t.astype(np.result_type(t.dtype, wide), copy=False) for name, t in tensors.items()}
        return self.parameter.as_flax(tensors, self.slot.shape).astype(self.slot.dtype, copy=False)

    def inexpressible(self) -> list[Row]:
        """What is wrong with the tensors' values, which only making the array shows."""
        checked = self.parameter.without is not None
        if checked or any(source.how == "spectral norm" for source in self.sources.values()):
            try:
                self.value()
            except (InexpressibleError, SpectralShapeError) as error:
                return self.rows("inexpressible", str(error))
        return []

    def row_fields(self) -> dict[str, Any]:
        """What the report says of the array where something is wrong."""
        slot = self.slot
        fields = {"target": slot.path, "target_shape": slot.shape, "target_dtype": str(slot.dtype)}
        return fields | {"needed_shape": self.torch_shape}

    def row(self, source: Source, status: str, note: str = "") -> Row:
        """What is wrong with one tensor."""
        return source.row(status, note, **self.row_fields())

    def rows(self, status: str, note: str) -> list[Row]:
        """The same fault for each tensor."""
        return [self.row(source, status, note) for source in self.sources.values()]

    def loaded_row(self) -> Row:
        """What the report says of an array that is filled."""
        first, *others = self.sources.values()
        words = [f"{source.how} folded, comes back as a plain tensor" for source in (first, *others) if source.how]
        if others:
            words.append(f"summed, comes back as {first.name} with {others[0].name} zero")
        if self.parameter.rule:
            words.append(self.parameter.rule)
        return dataclasses.replace(
            self.row(first, "loaded"),
            needed_shape=None,
            source=tuple(part for source in (first, *others) for part in source.parts),
            transform="; ".join(words),
            exact=not others and not first.how and first.dtype == self.slot.dtype,
        )


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a conversion would do, with all tensors of the state dict by what the model calls them."""

    fillings: list[Filling]
    report: Report
    sources: Mapping[str, Source]

    def check(self, strict: bool, consequence: str) -> None:
        """Raises StateDictError for what is wrong; without `strict` only for what would make wrong numbers.

        `consequence` is what comes of that, in words.
        """
        if any(row.status in FAULTS and (strict or row.status not in TOLERATED) for row in self.report.rows):
            raise StateDictError(self.report, consequence)

    def values(self) -> Iterator[tuple[Slot, NDArray[Any]]]:
        """Each array and its new value, made one at a time; a large conversion shows a progress bar on a terminal."""
        sizes = [math.prod(filling.slot.shape) * filling.slot.dtype.itemsize for filling in self.fillings]
        console = Console(stderr=True)
        hidden = sum(sizes) <= LARGE or not console.is_terminal
        # In bytes, since one tensor can be most of a checkpoint.
        with Progress(console=console, transient=True, disable=hidden) as progress:
            task = progress.add_task("converting", total=sum(sizes))
            for filling, size in zip(self.fillings, sizes, strict=True):
                yield filling.slot, filling.value()
                progress.advance(task, size)
