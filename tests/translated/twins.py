"""Translations of the tests' own networks and of deepCR beside the twins that were written by hand.

Both are to have the same layers with the same arguments under the same names, and classes of the same names, without
the `Torch` and `Nnx` that tell them apart there: `python -m tests.translated.twins`.
"""

import sys
from collections.abc import Iterator
from typing import Any

import torch
from flax import nnx

from examples.deepcr.checkpoints import CHECKPOINTS
from examples.deepcr.fetch import fetch
from jax_tconv import interop
from tests.networks import NETWORKS
from tests.translated.text import table

LIMIT = 1e-5  # of the largest value, as for the twins themselves
ARGUMENTS = (
    "num_features",
    "in_features",
    "out_features",
    "kernel_size",
    "strides",
    "padding",
    "output_padding",
    "kernel_dilation",
    "feature_group_count",
    "use_bias",
    "use_scale",
    "momentum",
    "epsilon",
)
CONTAINERS = (nnx.Sequential, nnx.List, nnx.Dict)
TEXT = """## The tests' own networks, and deepCR

Each of [tests/networks](../tests/networks) and one checkpoint of each of deepCR's networks, translated, next to the
twin that was written by hand: how many layers of each `verify` compares with torch's, and what only one of the two has.
Layers are compared with their arguments."""


def description(model: nnx.Module) -> set[tuple[str, ...]]:
    """Every layer by its name, class and arguments, and every part of another class by its name and class."""
    return set(lines(model))


def lines(model: nnx.Module) -> Iterator[tuple[str, ...]]:
    for path, part in nnx.iter_modules(model):
        name = ".".join(str(step) for step in path if step != "layers")
        kind = type(part)
        if isinstance(part, CONTAINERS):
            continue
        if kind.__module__.startswith(("flax.", "jax_tconv.")):
            yield name, kind.__name__, *arguments(part)
        elif name:  # deepCR has several classes where the twin has one with arguments
            yield name, plain(kind.__name__)


def plain(class_name: str) -> str:
    """`TorchDoubleConv`, `NnxDoubleConv` and `double_conv` are all `doubleconv`."""
    return class_name.removeprefix("Torch").removeprefix("Nnx").replace("_", "").lower()


def arguments(layer: nnx.Module) -> Iterator[str]:
    """Those that say what the layer is, each in one form."""
    kernel = getattr(layer, "kernel", None)
    axes = len(kernel.shape) - 2 if kernel is not None else 0
    for name in ARGUMENTS:
        value = getattr(layer, name, None)
        if name in ("kernel_size", "strides", "padding", "output_padding", "kernel_dilation"):
            value = spread(value, axes, pairs=name == "padding")
        if value == "SAME" and set(spread(layer.strides, axes)) == {1}:
            reaches = zip(spread(layer.kernel_size, axes), spread(layer.kernel_dilation, axes), strict=True)
            value = tuple(((size - 1) * step // 2, -((1 - size) * step // 2)) for size, step in reaches)
        if value is not None:
            yield f"{name}={value}"


def spread(value: Any, axes: int, pairs: bool = False) -> Any:
    """One number as a number, or a pair of them, for every axis."""
    if value is None or isinstance(value, str):
        return value
    values = [value] * axes if isinstance(value, int) else list(value)
    return tuple((one, one) if pairs and isinstance(one, int) else one for one in values)


def cases() -> Iterator[tuple[str, torch.nn.Module, torch.Tensor, nnx.Module, Any]]:
    """A name, a torch network, its input, the twin without values, and what has to be said of it to the loader."""
    for network in NETWORKS:
        yield network.name, network.trained(), network.inputs(), nnx.eval_shape(network.make_nnx), network.flatten
    folder = fetch()
    by_network = {checkpoint.network: checkpoint for checkpoint in CHECKPOINTS.values()}
    for name, checkpoint in by_network.items():
        shape = (2, checkpoint.in_features, 24, 32)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
        yield f"deepCR's {name}", checkpoint.torch_network(folder), x, nnx.eval_shape(checkpoint.flax_network), None


def judge(
    name: str, original: torch.nn.Module, x: torch.Tensor, twin: nnx.Module, flatten: Any
) -> tuple[bool, tuple[str, ...]]:
    """Whether they are equal and the translation is right, and the cells of the table."""
    try:
        model = interop.from_torch(original, x)
        found = interop.verify(original, model, x, tolerance=LIMIT)
    except Exception as error:
        return False, (name, f"{type(error).__name__}: {' '.join(str(error).split())}", "", "")
    interop.load_state_dict(twin, original.state_dict(), flatten=flatten)
    counts = [
        sum(layer.counts for layer in one.layers)
        for one in (found, interop.verify(original, twin, x, flatten=flatten, tolerance=LIMIT))
    ]
    ours, theirs = description(model), description(twin)
    only = ["; ".join(" ".join(line) for line in sorted(one)) for one in (ours - theirs, theirs - ours)]
    verified = f"{counts[0]} of {counts[1]} layers" if found.ok else found.verdict
    return found.ok and counts[0] == counts[1] and ours == theirs, (name, verified, *only)


def report() -> tuple[str, bool]:
    """The part of docs/translated.md, and whether all is as it should be."""
    results = [judge(*case) for case in cases()]
    headings = ("network", "verified", "only in the translation", "only in the twin")
    return f"{TEXT}\n\n{table(headings, [cells for _, cells in results])}", all(right for right, _ in results)


if __name__ == "__main__":
    torch.set_num_threads(1)  # more cost more than they save on networks as small as these
    words, right = report()
    print(words)
    sys.exit(not right)
