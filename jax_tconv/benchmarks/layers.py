"""The layers that are timed: what a layer is, its arithmetic, and how a list of them is read from a file."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

LAYERS = Path(__file__).with_name("layers.json")
# What a field may be called in a file: here, in torch, or in short.
ALIASES = {
    "c_in": ("in_channels", "in", "c_in"),
    "c_out": ("out_channels", "out", "c_out"),
    "kernel": ("kernel_size", "kernel"),
    "input": ("input_size", "input"),
}
PER_AXIS = {"input": None, "kernel": None, "stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
SCALARS = {"c_in": None, "c_out": None, "groups": 1, "batch": 1}


class BadInput(ValueError):
    """What the user gave cannot be run; the message is one line that says what would do."""


class Arrays(NamedTuple):
    """A layer's input, kernel and output cotangent, channels last, as `jax_tconv.conv_transpose` takes them."""

    x: np.ndarray
    kernel: np.ndarray
    g: np.ndarray


@dataclass(frozen=True)
class Layer:
    """One transposed convolution in PyTorch's terms, its input's size, and where it comes from."""

    name: str
    c_in: int
    c_out: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    input: tuple[int, ...]
    batch: int
    source: str = ""

    def __post_init__(self) -> None:
        for field in PER_AXIS:
            values, least = getattr(self, field), 0 if "padding" in field else 1
            if len(values) != self.ndim or any(value < least for value in values):
                raise BadInput(
                    f"layer {self.name!r}: {field} must be {self.ndim} ints of at least {least}, got {values}"
                )
        if min(self.c_in, self.c_out, self.groups, self.batch) < 1:
            raise BadInput(f"layer {self.name!r}: channels, groups and batch must be at least 1")
        if self.c_in % self.groups or self.c_out % self.groups:
            raise BadInput(f"layer {self.name!r}: {self.groups} groups do not divide the channels")
        if any(p >= max(s, d) for p, s, d in zip(self.output_padding, self.stride, self.dilation, strict=True)):
            raise BadInput(f"layer {self.name!r}: output_padding must be less than stride or dilation")
        if min(self.output) < 1:
            raise BadInput(f"layer {self.name!r}: the output has size {self.output}; use less padding")

    @property
    def ndim(self) -> int:
        """The number of spatial axes."""
        return len(self.input)

    @property
    def output(self) -> tuple[int, ...]:
        """The output's spatial size, by the formula in PyTorch's documentation."""
        fields = (self.input, self.kernel, self.stride, self.padding, self.output_padding, self.dilation)
        return tuple((n - 1) * s - 2 * p + d * (k - 1) + op + 1 for n, k, s, p, op, d in zip(*fields, strict=True))

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments, which torch's functions and ours share."""
        return {name: getattr(self, name) for name in ("stride", "padding", "output_padding", "dilation", "groups")}

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the input, the kernel and the output, as `Arrays` has them."""
        kernel = (*self.kernel, self.c_in, self.c_out // self.groups)
        return (self.batch, *self.input, self.c_in), kernel, (self.batch, *self.output, self.c_out)

    def flops(self, mode: str) -> int:
        """A multiplication and an addition for each pair of input pixel and kernel tap that lands in the output.

        Each of the two gradients multiplies the same pairs as the output does.
        """
        fields = (self.input, self.kernel, self.stride, self.padding, self.dilation, self.output)
        landing = (
            sum(0 <= i * s + t * d - p < out for i in range(n) for t in range(k))
            for n, k, s, p, d, out in zip(*fields, strict=True)
        )
        forward = 2 * self.batch * self.c_in * (self.c_out // self.groups) * math.prod(landing)
        return forward * (3 if mode == "training" else 1)

    def traffic(self, mode: str) -> int:
        """Bytes of float32 that must be read or written at least once."""
        return 4 * sum(map(math.prod, self.shapes)) * (2 if mode == "training" else 1)

    def draw(self, seed: int = 0) -> Arrays:
        """Normally distributed float32 arrays."""
        rng = np.random.default_rng(seed)
        return Arrays(*(rng.standard_normal(shape, dtype=np.float32) for shape in self.shapes))


def load(path: Path = LAYERS) -> list[Layer]:
    """The layers in a JSON file: a list of objects, or one under the key "layers"; BadInput says what is wrong."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read layers from {path}: {error}") from error
    entries = content.get("layers") if isinstance(content, dict) else content
    if not isinstance(entries, list) or not entries:
        raise BadInput(f'{path} must hold a list of layers, or {{"layers": [...]}}')
    layers = [parse(entry, f"layer {number} of {path}") for number, entry in enumerate(entries, 1)]
    names = [layer.name for layer in layers]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{path} has two layers called {name!r}")
    return layers


def parse(entry: Any, where: str) -> Layer:
    """The layer that an object of the file describes; `where` begins the message of a BadInput."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise BadInput(f'{where} must be an object with a "name"')
    known = {"name", "source"} | {alias for field in (*PER_AXIS, *SCALARS) for alias in ALIASES.get(field, (field,))}
    if unknown := entry.keys() - known:
        raise BadInput(f"{where} has unknown fields: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    for field, default in (PER_AXIS | SCALARS).items():
        given = [entry[alias] for alias in ALIASES.get(field, (field,)) if alias in entry]
        if not given and default is None:
            raise BadInput(f"{where} lacks {ALIASES[field][0]!r}")
        values[field] = given[0] if given else default
    # An int stands for one value an axis, as in torch, so some list must say how many axes there are.
    ndim = next((len(values[field]) for field in PER_AXIS if isinstance(values[field], list)), 1)
    spread = {field: _ints(values[field], ndim, f"{where}: {field}") for field in PER_AXIS}
    scalars = {field: _ints(values[field], 1, f"{where}: {field}")[0] for field in SCALARS}
    return Layer(name=entry["name"], source=str(entry.get("source", "")), **spread, **scalars)  # type: ignore[arg-type]


def _ints(value: Any, ndim: int, what: str) -> tuple[int, ...]:
    values: Sequence[Any] = value if isinstance(value, list) else [value] * ndim
    if len(values) != ndim or any(not isinstance(v, int) or isinstance(v, bool) for v in values):
        raise BadInput(f"{what} must be an int or a list of {ndim}, got {value!r}")
    return tuple(values)
