"""Which tensor of a state dict fills which array of a model, and what is said of the others."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Generic, Literal

import ml_dtypes  # noqa: F401  (registers bfloat16 with numpy's casting rules)
import numpy as np
from numpy.typing import NDArray

from .._layers.layouts import InexpressibleError, Parameter
from .._layers.model import Layer, Place, Slot
from .._tensors import to_numpy
from .naming import Rename, common_prefix, new_names
from .order import renamed_by_order
from .parametrizations import Source, SpectralShapeError, fold
from .plan import Filling, Plan
from .report import Report, Row

Match = Literal["name", "order"]
# Old checkpoints of networks with InstanceNorm have them, and their own code deletes them.
STATISTICS = "the model's layer keeps no running statistics; if PyTorch's uses none either, drop them with rename"


def plan(
    layers: list[Layer[Place]],
    state_dict: Mapping[str, Any],
    *,
    rename: Rename,
    match: Match,
    downcast: bool,
    ordered: bool = True,
) -> Plan[Place]:
    """What each array of these layers is filled with, and the report on every tensor.

    `ordered` says whether the layers are in the order in which they are defined or called.
    """
    if match not in ("name", "order"):
        raise ValueError(f'match must be "name" or "order", got {match!r}')
    matcher = _Matcher(layers, state_dict, rename, downcast)
    if match == "order":
        matcher.pair_by_order(ordered)
    return matcher.plan()


class _Matcher(Generic[Place]):
    """The state of one matching: what has been claimed, and the rows so far."""

    def __init__(self, layers: list[Layer[Place]], state_dict: Any, rename: Rename, downcast: bool):
        self.layers, self.downcast = layers, downcast
        self.rows: list[Row] = []
        self.fillings: dict[Place, Filling[Place]] = {}
        self.claimed: set[str] = set()
        wanted = {
            name
            for layer in layers
            if layer.type is not None
            for torch_name in layer.type.torch_names
            for spellings in layer.names(torch_name)
            for name in spellings
        }
        tensors, origin = self._named(state_dict, rename, wanted)
        self.sources, self.hints = fold(tensors, origin, wanted)

    def _named(
        self, state_dict: Any, rename: Rename, wanted: set[str]
    ) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        """The tensors under the model's names, and the checkpoint's names of those."""
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"state_dict must be a mapping of names to tensors, got {type(state_dict).__name__}; "
                "a file is read with jax_tconv.interop.read"
            )
        arrays = {str(name): to_numpy(str(name), value) for name, value in state_dict.items()}
        tensors: dict[str, NDArray[Any]] = {}
        origin: dict[str, str] = {}
        for name, new in new_names(arrays, rename, wanted).items():
            if new is None:
                self._add("dropped", name, (name,), arrays[name], note="renamed to None")
            elif new in tensors:
                note = f"{origin[new]} has that name as well"
                self._add("ambiguous", new, (name,), arrays[name], note=note)
            else:
                tensors[new], origin[new] = arrays[name], name
        return tensors, origin

    def pair_by_order(self, ordered: bool) -> None:
        """Renames what the names alone do not match."""
        others, taken = [], set()
        for layer in self.layers:
            found = {name for torch_name in _all_names(layer) for name in self._found(layer, torch_name)}
            taken |= found
            if not found:
                others.append(layer)
        left = {name: source for name, source in self.sources.items() if name not in taken}
        renamed, problems = renamed_by_order(others, left, ordered)
        for name, problem in problems.items():
            source = self.sources.pop(name)
            self._add("ambiguous", name, source.parts, source, note=problem)
        self.sources = {
            renamed.get(name, name): dataclasses.replace(source, name=renamed.get(name, name))
            for name, source in self.sources.items()
        }

    def plan(self) -> Plan[Place]:
        for layer in self.layers:
            if layer.type is None:
                path = ", ".join(slot.path for slot in layer.slots.values())
                self.rows.append(Row("unsupported", layer.path, target=path, note=layer.problem))
            for parameter, slot in layer.parameters():
                self._fill(layer, parameter, slot)
            for torch_name in layer.type.torch_only if layer.type else ():
                for name in self._found(layer, torch_name):
                    self._take("dropped", name, note="Flax has no use for it")
        for name, source in self.sources.items():
            if name not in self.claimed:
                statistics = STATISTICS if name.rpartition(".")[2] in ("running_mean", "running_var") else ""
                self._add("unexpected", name, source.parts, source, note=self.hints.get(name, statistics))
        return Plan(list(self.fillings.values()), Report(tuple(self.rows), self._advice()))

    def _fill(self, layer: Layer[Place], parameter: Parameter, slot: Slot[Place]) -> None:
        """Adds the filling of one array, or the row that says what is wrong with it."""
        wanted = parameter.torch_shape(slot.shape)
        assert layer.type is not None
        assert wanted is not None
        details: dict[str, Any] = {
            "target": slot.path, "target_shape": slot.shape, "target_dtype": str(slot.dtype), "needed_shape": wanted
        }  # fmt: skip
        sources: dict[str, Source] = {}
        faults: list[Row] = []
        for torch_name in parameter.torch_names:
            found = self._found(layer, torch_name)
            if not found:
                name = layer.names(torch_name)[0][-1]
                faults.append(Row("missing", name, **details))
                continue
            source = sources[torch_name] = self.sources[found[0]]
            self.claimed.update(found)
            if source.shape != wanted:
                hint = layer.type.hint if len(source.shape) == len(wanted) else ""
                faults.append(self._row("misshapen", found[0], note=hint, **details))
            elif not self.downcast and not np.can_cast(source.dtype, slot.dtype, "safe"):
                faults.append(self._row("downcast", found[0], **details))
            faults += self._repeated(found, layer, details)
        if faults:
            self.rows += faults
            return
        filling = Filling(layer, parameter, slot, sources)
        try:
            if parameter.without is not None or any(source.how == "spectral norm" for source in sources.values()):
                filling.value()
        except (InexpressibleError, SpectralShapeError) as error:
            self.rows += [self._row("inexpressible", name, note=str(error), **details) for name in filling.names]
            return
        other = self.fillings.setdefault(slot.place, filling)
        if other is filling:
            self.rows.append(filling.row())
        elif np.array_equal(other.value(), filling.value(), equal_nan=slot.dtype.kind in "fc"):
            self.rows += [
                self._row("shared", name, note=f"the same array as {other.slot.path}") for name in filling.names
            ]
        else:
            note = f"differs from {other.names[0]}, and the model shares the array"
            self.rows += [self._row("ambiguous", name, note=note, **details) for name in filling.names]

    def _repeated(self, found: list[str], layer: Layer[Place], details: Mapping[str, Any]) -> list[Row]:
        """The other names of a shared layer: the same values again, or a fault."""
        first = self.sources[found[0]]
        axis = layer.type.spectral_axis if layer.type else 0
        faults = []
        for name in found[1:]:
            other = self.sources[name]
            same = other.shape == first.shape and np.array_equal(
                other.load(axis), first.load(axis), equal_nan=first.dtype.kind in "fc"
            )
            if same:
                if not any(row.status == "shared" and row.name == name for row in self.rows):
                    self.rows.append(self._row("shared", name, note=f"the same layer as {found[0]}"))
            else:
                note = f"differs from {found[0]}, and the model shares the layer"
                faults.append(self._row("ambiguous", name, note=note, **details))
        return faults

    def _found(self, layer: Layer[Place], torch_name: str) -> list[str]:
        """The names under which the state dict has one of the layer's tensors, for each place that shares the layer."""
        return [
            next(name for name in spellings if name in self.sources)
            for spellings in layer.names(torch_name)
            if any(name in self.sources for name in spellings)
        ]

    def _take(self, status: str, name: str, **details: Any) -> None:
        self.claimed.add(name)
        self.rows.append(self._row(status, name, **details))

    def _row(self, status: str, name: str, **details: Any) -> Row:
        source = self.sources[name]
        return Row(
            status, name, source.parts, source_shape=source.shape, source_dtype=str(source.dtype),
            exact=not source.how, **details,
        )  # fmt: skip

    def _add(self, status: str, name: str, parts: tuple[str, ...], tensor: Any, **details: Any) -> None:
        self.rows.append(
            Row(status, name, parts, source_shape=tuple(tensor.shape), source_dtype=str(tensor.dtype), **details)
        )

    def _advice(self) -> str:
        names = {
            status: [row.name for row in self.rows if row.status == status] for status in ("missing", "unexpected")
        }
        prefix = common_prefix(names["missing"], names["unexpected"])
        if prefix is None:
            return ""
        return f"its names begin with {prefix!r}, which the model's do not: rename={{{prefix!r}: ''}} removes it"


def _all_names(layer: Layer[Any]) -> list[str]:
    return [] if layer.type is None else [*layer.type.torch_names, *layer.type.torch_only]
