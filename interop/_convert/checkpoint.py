"""A state dict under the model's names, and what is said of the tensors that have none."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from .._layers.model import Layer
from .._tensors import to_numpy
from .naming import Rename, new_names
from .parametrizations import fold
from .report import Row
from .sources import Source


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A state dict as the model sees it.

    Attributes:
      sources: its tensors, by what the model calls them, in its order.
      hints: what to say of a tensor if nothing takes it, by name.
      rows: the report on tensors that are not among the sources.
    """

    sources: Mapping[str, Source]
    hints: Mapping[str, str]
    rows: tuple[Row, ...]

    def find(self, layer: Layer[Any], torch_name: str) -> list[str]:
        """The names under which it has one of the layer's tensors: one for each place that shares the layer."""
        found = (next(filter(self.sources.__contains__, names), None) for names in layer.names(torch_name))
        return [name for name in found if name is not None]


def read_checkpoint(state_dict: Any, rename: Rename, wanted: Collection[str]) -> Checkpoint:
    """The state dict, with its tensors renamed and norms folded; `wanted` are the names that the model has."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"state_dict must be a mapping of names to tensors, got {type(state_dict).__name__}; "
            "a file is read with jax_tconv.interop.read"
        )
    arrays = {str(name): to_numpy(str(name), value) for name, value in state_dict.items()}
    origin: dict[str, str] = {}
    rows = []
    for name, new in new_names(arrays, rename, wanted).items():
        if new is None:
            rows.append(Source.plain(name, name, arrays[name]).row("dropped", "renamed to None"))
        elif new in origin:
            note = f"{origin[new]} has that name as well"
            rows.append(Source.plain(new, name, arrays[name]).row("ambiguous", note))
        else:
            origin[new] = name
    sources, hints = fold({new: arrays[name] for new, name in origin.items()}, origin, wanted)
    return Checkpoint(sources, hints, tuple(rows))
