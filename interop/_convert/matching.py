"""Which tensor of a state dict fills which array of a model, and what is said of the others."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._layers.layouts import Shape
from .._layers.model import Hints, Layer, Place, join, read_hints
from .._layers.recurrent import RECURRENT_TENSOR
from .._tensors import to_numpy
from .naming import Rename, check_rename, new_names
from .order import pair_by_order
from .parametrizations import fold
from .plan import Filling, Plan
from .repairs import advice
from .report import Report, Row
from .sources import Source

Match = Literal["name", "order"]
# Old checkpoints of networks with InstanceNorm have them, and their own code deletes them.
STATISTICS = (
    "the model's layer keeps no running statistics; if PyTorch's uses none either, drop them with rename; if it does "
    "(InstanceNorm with track_running_stats), a BatchNorm with use_running_average=True computes the same"
)
_RUNNING = ("running_mean", "running_var", "num_batches_tracked")
LAYERS = (
    "PyTorch's module has more layers or directions than the model's: a list of RNNs has several layers, a "
    "Bidirectional both directions"
)


@dataclasses.dataclass(frozen=True)
class Options:
    """The arguments of `load_state_dict` that say which tensor fills which array; TypeError or ValueError if bad."""

    rename: Rename
    match: Match
    flatten: Mapping[str, Any] | None
    layouts: Mapping[str, str] | None
    downcast: bool

    def __post_init__(self) -> None:
        check_rename(self.rename)
        if self.match not in ("name", "order"):
            raise ValueError(f'match must be "name" or "order", got {self.match!r}')

    @property
    def hints(self) -> Hints:
        """What the caller knows and the model does not tell."""
        return read_hints(self.flatten, self.layouts)


def make_plan(
    layers: list[Layer],
    state_dict: Any,
    options: Options,
    *,
    ordered: Callable[[], bool] = lambda: True,
    advised: bool = True,
) -> Plan:
    """What each array of these layers is filled with, and the report on every tensor, with advice if it does not fit.

    `ordered` says whether the layers are in the order in which they are defined or called; `advised`, whether the
    advice is wanted, which takes plans of its own.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"state_dict must be a mapping of names to tensors, got {type(state_dict).__name__}; "
            "a file is read with jax_tconv.interop.read"
        )
    arrays = {str(name): to_numpy(str(name), value) for name, value in state_dict.items()}
    plan = _planned(layers, arrays, options, ordered)
    if plan.report.ok or not advised:
        return plan

    def attempt(**changed: Any) -> Report:
        try:
            return _planned(layers, arrays, dataclasses.replace(options, **changed), ordered).report
        except ValueError:  # two tensors of one name
            return plan.report

    words = advice(
        plan.report,
        {name: source.shape for name, source in plan.sources.items()},
        _needed(layers, plan.sources),
        options.rename,
        lambda rename: attempt(rename=rename),
        None if options.match == "order" else lambda: attempt(match="order"),
    )
    return dataclasses.replace(plan, report=dataclasses.replace(plan.report, advice=words))


def _needed(layers: list[Layer], sources: Mapping[str, Source]) -> dict[str, Shape]:
    """The shapes of the tensors that the model needs, under the names that the state dict has, or else torch's own."""
    return {
        known: parameter.torch_shape(slot.shape)
        for layer in layers
        for parameter, slot in layer.parameters()
        for name in parameter.torch_names
        for known in layer.names_in(name, sources) or [layer.names(name)[0][-1]]
    }


def _planned(
    layers: list[Layer], arrays: Mapping[str, NDArray[Any]], options: Options, ordered: Callable[[], bool]
) -> Plan:
    """The plan without advice."""
    wanted = {name for layer in layers for torch in layer.type.torch_names for name in chain(*layer.names(torch))}
    sources, hints, rows = _read(arrays, options.rename, wanted)
    if options.match == "order":
        sources, ambiguous = pair_by_order(sources, layers, ordered())
        rows += ambiguous
    matching = _Matching(sources, options.downcast, rows)
    for layer in layers:
        matching.match(layer)
    for name, source in sources.items():
        if any(layer.left_out(name) for layer in layers if layer.torch_only and name not in matching.used):
            rows.append(source.row("dropped", "the model leaves it out"))
        elif name not in matching.used:
            rows.append(source.row("unexpected", hints.get(name) or _left_over(name, matching.used)))
    return Plan(list(matching.fillings.values()), Report(tuple(rows)), sources)


def _left_over(name: str, used: Collection[str]) -> str:
    """What to say of a tensor that no layer takes, by its name and those of the others."""
    path, _, last = name.rpartition(".")
    if last in _RUNNING:
        return STATISTICS
    return LAYERS if RECURRENT_TENSOR.fullmatch(last) and join(path, "weight_ih_l0") in used else ""


def _read(
    arrays: Mapping[str, NDArray[Any]], rename: Rename, wanted: Collection[str]
) -> tuple[dict[str, Source], dict[str, str], list[Row]]:
    """The tensors by what the model calls them, norms folded; what to say of those that nothing takes; and of the rest.

    `wanted` are the names that the model has.
    """
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
    return *fold({new: arrays[name] for new, name in origin.items()}, origin, wanted), rows


def _holds(dtype: np.dtype[Any], source: Source, axis: int) -> bool:
    """Whether a dtype holds all values of a tensor: of whole numbers, PyTorch has 64 bits for the smallest."""
    if np.can_cast(source.dtype, dtype, "safe"):
        return True
    if source.dtype.kind not in "iu" or dtype.kind not in "iu":
        return False
    values, limits = source.load(axis), np.iinfo(dtype)
    return not values.size or (limits.min <= int(values.min()) and int(values.max()) <= limits.max)


@dataclasses.dataclass
class _Matching:
    """One matching: the rows so far, the arrays that are filled, by place, and the tensors that are used."""

    sources: Mapping[str, Source]
    downcast: bool
    rows: list[Row]
    fillings: dict[Place, Filling] = dataclasses.field(default_factory=dict)
    used: set[str] = dataclasses.field(default_factory=set)

    def match(self, layer: Layer) -> None:
        """Adds the fillings of a layer's arrays, and a row about each tensor and each array."""
        if layer.problem:
            paths = ", ".join(slot.path for slot in layer.slots.values())
            self.rows.append(Row("unsupported", layer.path, target=paths, note=layer.problem))
        for parameter, slot in layer.parameters():
            found = {name: self._use(layer, name) for name in parameter.torch_names}
            sources = {name: self.sources[names[0]] for name, names in found.items() if names}
            filling = Filling(layer, parameter, slot, sources)
            faults = [fault for name, names in found.items() for fault in self._faults(filling, name, names)]
            self.rows += faults or filling.inexpressible() or self._placed(filling)
        for torch_name in layer.type.torch_only:
            for name in self._use(layer, torch_name):
                self.rows.append(self.sources[name].row("dropped", "Flax has no use for it"))

    def _use(self, layer: Layer, torch_name: str) -> list[str]:
        """The names under which the state dict has a tensor, now counted as used."""
        found = layer.names_in(torch_name, self.sources)
        self.used.update(found)
        return found

    def _faults(self, filling: Filling, torch_name: str, names: list[str]) -> Iterator[Row]:
        """What is wrong with a tensor that the state dict has under these names."""
        if not names:
            yield Row("missing", filling.layer.names(torch_name)[0][-1], **filling.row_fields())
            return
        source, needed = filling.sources[torch_name], filling.torch_shape
        if source.shape != needed:
            yield filling.row(source, "misshapen", filling.layer.type.hint if len(source.shape) == len(needed) else "")
        elif not self.downcast and not _holds(filling.slot.dtype, source, filling.layer.type.spectral_axis):
            yield filling.row(source, "downcast")
        for name in names[1:]:
            yield from self._repeated(filling, names[0], self.sources[name])

    def _repeated(self, filling: Filling, first: str, source: Source) -> Iterator[Row]:
        """Another name of a shared layer: the same values again, which is reported once, or a fault."""
        if not source.equals(self.sources[first], filling.layer.type.spectral_axis):
            yield filling.row(source, "ambiguous", f"differs from {first}, and the model shares the layer")
        elif not any(row.status == "shared" and row.name == source.name for row in self.rows):
            self.rows.append(source.row("shared", f"the same layer as {first}"))

    def _placed(self, filling: Filling) -> list[Row]:
        """The rows about a filling, which is kept unless the array, shared by two layers, is filled already."""
        slot = filling.slot
        other = self.fillings.setdefault(slot.place, filling)
        if other is filling:
            return [filling.loaded_row()]
        if np.array_equal(other.value(), filling.value(), equal_nan=slot.dtype.kind in "fc"):
            return [source.row("shared", f"the same array as {other.slot.path}") for source in filling.sources.values()]
        first = next(iter(other.sources.values())).name
        return filling.rows("ambiguous", f"differs from {first}, and the model shares the array")
