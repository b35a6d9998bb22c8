"""The tensors that torch keeps for a weight norm or a spectral norm, found by their names and folded into the weight.

torch has two forms of each: the old one adds suffixes to the weight's name, the new one moves the weight into
`parametrizations`.
"""

import bisect
import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from .norms import misfit, spectral_norm, weight_norm
from .sources import Source

Tensors = Mapping[str, NDArray[Any]]
_MOVED = re.compile(r"((?:.*\.)?)parametrizations\.([^.]*)", re.DOTALL)
_UNKNOWN = "a parametrization other than weight norm and spectral norm: remove it in torch before saving"
_HALVES = ("weight_g", "weight_v", "weight_orig", "weight_u")


@dataclasses.dataclass(frozen=True)
class _Form:
    """How torch names a norm's tensors: their endings, and the ending of a tensor that only another form has."""

    kind: str
    endings: tuple[str, ...]
    excluded: str


_OF_A_VECTOR = _Form("spectral norm", (".original",), ".1._u")
_FORMS = (
    _Form("weight norm", ("_g", "_v"), "_orig"),
    _Form("spectral norm", ("_orig", "_u", "_v"), "_g"),
    # A second parametrization on top of the first has the number 1.
    _Form("weight norm", (".original0", ".original1"), ".1._u"),
    _Form("spectral norm", (".original", ".0._u", ".0._v"), ".1._u"),
    _OF_A_VECTOR,
)


@dataclasses.dataclass(frozen=True)
class _Norm:
    """A norm in a state dict: the weight that it stands for, and the names of its tensors."""

    weight: str
    parts: tuple[str, ...]
    kind: str

    def source(self, tensors: Tensors, origin: Mapping[str, str]) -> Source:
        """The weight, which is computed when it is loaded."""
        arrays = [tensors[part] for part in self.parts]
        parts = tuple(origin[part] for part in self.parts)
        if self.kind == "weight norm":
            like, load = arrays[1], lambda axis: weight_norm(*arrays)
        else:
            like, load = arrays[0], lambda axis: spectral_norm(*arrays, axis=axis)
        return Source(self.weight, parts, like.shape, like.dtype, self.kind, load)


def fold(
    tensors: Tensors, origin: Mapping[str, str], wanted: Collection[str]
) -> tuple[dict[str, Source], dict[str, str]]:
    """The tensors by name, with norms folded, and what is wrong with those that only look like parts of one.

    `origin` has the checkpoint's own name for each. Tensors that the model has under these very names (`wanted`) stay.
    """
    folded: dict[str, _Norm] = {}
    hints: dict[str, str] = {}
    names = set(tensors)
    for norm in _norms(tensors, wanted):
        taken = f"{norm.weight} is there as well" if norm.weight in names else ""
        if problem := taken or misfit(norm.kind, [tensors[part] for part in norm.parts]):
            hints |= dict.fromkeys(norm.parts, f"not folded: {problem}")
        else:
            folded[norm.parts[0]] = norm
            names.add(norm.weight)
    used = {part for norm in folded.values() for part in norm.parts}
    # In the order of the checkpoint, which match="order" reads.
    sources: dict[str, Source] = {}
    for name, tensor in tensors.items():
        if name in folded:
            sources[folded[name].weight] = folded[name].source(tensors, origin)
        elif name not in used:
            sources[name] = Source.plain(name, origin[name], tensor)
            if name not in hints and name not in wanted and (hint := _hint(name)):
                hints[name] = hint
    return sources, hints


def _norms(tensors: Tensors, wanted: Collection[str]) -> Iterator[_Norm]:
    """The norms whose tensors are all there, in the order of their first ones."""
    ordered = sorted(tensors)
    for name in tensors:
        norms = (_norm(name, form, tensors, ordered) for form in _FORMS if name.endswith(form.endings[0]))
        yield from (norm for norm in norms if norm is not None and not any(part in wanted for part in norm.parts))


def _norm(name: str, form: _Form, tensors: Tensors, ordered: list[str]) -> _Norm | None:
    """The norm of this form whose first tensor has this name; None if it is not one. `ordered` is the names, sorted."""
    base = name.removesuffix(form.endings[0])
    parts = tuple(base + ending for ending in form.endings)
    if base + form.excluded in tensors or not all(part in tensors for part in parts):
        return None
    if form.endings[0].startswith("_"):
        return _Norm(base, parts, form.kind)
    moved = _MOVED.fullmatch(base)
    if moved is None or (form is _OF_A_VECTOR and not (tensors[name].ndim == 1 and _is_alone(name, base, ordered))):
        return None
    return _Norm(moved[1] + moved[2], parts, form.kind)


def _is_alone(name: str, base: str, ordered: list[str]) -> bool:
    """Whether a parametrization has one tensor and nothing else; torch's spectral norm divides a vector by its norm."""
    first = bisect.bisect_left(ordered, f"{base}.")
    return ordered[first] == name and not any(other.startswith(f"{base}.") for other in ordered[first + 1 : first + 2])


def _hint(name: str) -> str:
    """What to say of a tensor that looks like a part of a parametrization but is not folded; empty for any other."""
    if ".parametrizations." in f".{name}":
        return _UNKNOWN
    if name.rpartition(".")[2] not in _HALVES:
        return ""
    base = name.rpartition("_")[0]
    return f"half of a parametrization: weight norm has {base}_g and {base}_v, spectral norm {base}_orig, _u and _v"
