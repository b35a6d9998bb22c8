"""Which tensor of a state dict fills which array of a model, and what is said of the others."""

import dataclasses
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Generic, Literal

import numpy as np

from .._layers.model import Layer, Place
from .checkpoint import Checkpoint, read_checkpoint
from .naming import Rename, check_rename, common_prefix
from .order import pair_by_order
from .plan import Filling, Plan, Target
from .report import Report, Row

Match = Literal["name", "order"]
# Old checkpoints of networks with InstanceNorm have them, and their own code deletes them.
STATISTICS = "the model's layer keeps no running statistics; if PyTorch's uses none either, drop them with rename"


@dataclasses.dataclass(frozen=True)
class Options:
    """The arguments of `load_state_dict` and `linen_variables` that say which tensor fills which array, checked."""

    rename: Rename
    match: Match
    downcast: bool

    def __post_init__(self) -> None:
        check_rename(self.rename)
        if self.match not in ("name", "order"):
            raise ValueError(f'match must be "name" or "order", got {self.match!r}')


def make_plan(
    layers: list[Layer[Place]], state_dict: Mapping[str, Any], options: Options, *, ordered: bool = True
) -> Plan[Place]:
    """What each array of these layers is filled with, and the report on every tensor.

    `ordered` says whether the layers are in the order in which they are defined or called.
    """
    wanted = {name for layer in layers for torch in layer.type.torch_names for name in chain(*layer.names(torch))}
    checkpoint = read_checkpoint(state_dict, options.rename, wanted)
    if options.match == "order":
        checkpoint = pair_by_order(checkpoint, layers, ordered)
    matching: _Matching[Place] = _Matching(checkpoint, options.downcast, list(checkpoint.rows))
    for layer in layers:
        matching.match(layer)
    matching.add_unexpected()
    return Plan(list(matching.fillings.values()), Report(tuple(matching.rows), _advice(matching.rows)))


@dataclasses.dataclass
class _Matching(Generic[Place]):
    """One matching: the rows so far, the arrays that are filled, by place, and the tensors that are used."""

    checkpoint: Checkpoint
    downcast: bool
    rows: list[Row]
    fillings: dict[Place, Filling[Place]] = dataclasses.field(default_factory=dict)
    used: set[str] = dataclasses.field(default_factory=set)

    def match(self, layer: Layer[Place]) -> None:
        """Adds the fillings of a layer's arrays, and a row about each tensor and each array."""
        if layer.problem:
            paths = ", ".join(slot.path for slot in layer.slots.values())
            self.rows.append(Row("unsupported", layer.path, target=paths, note=layer.problem))
        for parameter, slot in layer.parameters():
            self._fill(Target(layer, parameter, slot))
        for torch_name in layer.type.torch_only:
            for name in self._use(layer, torch_name):
                self.rows.append(self.checkpoint.sources[name].row("dropped", "Flax has no use for it"))

    def add_unexpected(self) -> None:
        """Adds a row about each tensor that no layer uses."""
        for name, source in self.checkpoint.sources.items():
            if name not in self.used:
                statistics = STATISTICS if name.rpartition(".")[2] in ("running_mean", "running_var") else ""
                self.rows.append(source.row("unexpected", self.checkpoint.hints.get(name, statistics)))

    def _use(self, layer: Layer[Place], torch_name: str) -> list[str]:
        """The names under which the state dict has a tensor, now counted as used."""
        found = self.checkpoint.find(layer, torch_name)
        self.used.update(found)
        return found

    def _fill(self, target: Target[Place]) -> None:
        """Adds the filling of one array, or the rows that say what is wrong with it."""
        found = {name: self._use(target.layer, name) for name in target.parameter.torch_names}
        faults = [fault for name, names in found.items() for fault in self._faults(target, name, names)]
        if not faults:
            filling = Filling(target, {name: self.checkpoint.sources[names[0]] for name, names in found.items()})
            faults = filling.inexpressible() or self._placed(filling)
        self.rows += faults

    def _faults(self, target: Target[Place], torch_name: str, names: list[str]) -> Iterator[Row]:
        """What is wrong with a tensor that the state dict has under these names."""
        if not names:
            yield Row("missing", target.layer.names(torch_name)[0][-1], **target.row_fields())
            return
        source = self.checkpoint.sources[names[0]]
        if source.shape != target.torch_shape:
            hint = target.layer.type.hint if len(source.shape) == len(target.torch_shape) else ""
            yield source.row("misshapen", hint, **target.row_fields())
        elif not self.downcast and not np.can_cast(source.dtype, target.slot.dtype, "safe"):
            yield source.row("downcast", **target.row_fields())
        for name in names[1:]:
            yield from self._repeated(target, names[0], name)

    def _repeated(self, target: Target[Place], first: str, name: str) -> Iterator[Row]:
        """Another name of a shared layer: the same values again, which is reported once, or a fault."""
        source = self.checkpoint.sources[name]
        if not source.equals(self.checkpoint.sources[first], target.layer.type.spectral_axis):
            note = f"differs from {first}, and the model shares the layer"
            yield source.row("ambiguous", note, **target.row_fields())
        elif not any(row.status == "shared" and row.name == name for row in self.rows):
            self.rows.append(source.row("shared", f"the same layer as {first}"))

    def _placed(self, filling: Filling[Place]) -> list[Row]:
        """The rows about a filling, which is kept unless the array, shared by two layers, is filled already."""
        slot = filling.target.slot
        other = self.fillings.setdefault(slot.place, filling)
        if other is filling:
            return [filling.loaded_row()]
        if np.array_equal(other.value(), filling.value(), equal_nan=slot.dtype.kind in "fc"):
            note = f"the same array as {other.target.slot.path}"
            return [source.row("shared", note) for source in filling.sources.values()]
        first = next(iter(other.sources.values())).name
        return filling.rows("ambiguous", f"differs from {first}, and the model shares the array")


def _advice(rows: list[Row]) -> str:
    """What to do if all names have a prefix that the model's do not have."""
    missing, unexpected = ([row.name for row in rows if row.status == status] for status in ("missing", "unexpected"))
    prefix = common_prefix(missing, unexpected)
    if prefix is None:
        return ""
    return f"its names begin with {prefix!r}, which the model's do not: rename={{{prefix!r}: ''}} removes it"
