"""`jax-tconv inspect`: what a checkpoint holds."""

import itertools
import math
from collections import Counter

from rich.filesize import decimal

from jax_tconv import interop
from jax_tconv.interop._convert.parametrizations import fold
from jax_tconv.interop._files.reading import without_garbage_collection
from jax_tconv.interop._tables import several, text_table
from jax_tconv.interop._text import shortened

from . import options
from .guess import Guess, guess_layers
from .output import say, show_json

# What is shown of a file that has more; every row is laid out, which takes a millisecond.
_MOST_ROWS, _MOST_NOTES, _MOST_TENSORS, _LONGEST_NAME = 1_000, 100, 100, 500


@without_garbage_collection()
def inspect(
    file: options.File, entry: options.Entry = None, everything: options.All = False, as_json: options.Json = False
) -> None:
    """Show the tensors of a checkpoint, the layers they belong to, and why. Nothing in the file is run.

    What names and shapes do not prove is "not certain", with all layers of torch.nn that fit.

    Layers of one kind are summed up in a row.

    Example: jax-tconv inspect generator.pth --entry state_dict
    """
    tensors = interop.read(file, entry=entry)
    sources, hints = fold(tensors, {name: name for name in tensors}, ())
    layers = guess_layers(sources)
    nbytes = sum(tensor.nbytes for tensor in tensors.values())
    counts = Counter(tensor.dtype for tensor in tensors.values())
    dtypes = {str(dtype): count for dtype, count in counts.items()}  # of hundreds of thousands, str takes seconds
    if as_json:
        names = {dtype: str(dtype) for dtype in counts}
        held = {name: {"shape": tensor.shape, "dtype": names[tensor.dtype]} for name, tensor in tensors.items()}
        document = {"file": str(file), "bytes": nbytes, "dtypes": dtypes, "tensors": held}
        show_json(document | {"layers": [vars(layer) for layer in layers], "notes": hints})
        return
    values = sum(math.prod(tensor.shape) for tensor in tensors.values())
    kinds = ", ".join(f"{count} {dtype}" for dtype, count in dtypes.items())
    say(f"{file}: {several(len(tensors), 'tensor')} ({kinds}), {values:,} values, {decimal(nbytes)}")
    groups = [[layer] for layer in layers] if everything else _alike(layers)
    print(text_table(("layer", "tensors", "is", "because"), map(_cells, groups[:_MOST_ROWS])))
    if len(groups) > _MOST_ROWS:
        say(f"{several(len(groups) - _MOST_ROWS, 'more layer')} not shown; --json has them all.")
    for name, hint in itertools.islice(hints.items(), _MOST_NOTES):
        say(f"{shortened(name, _LONGEST_NAME)}: {shortened(hint, _LONGEST_NAME)}")
    if len(hints) > _MOST_NOTES:
        say(f"{several(len(hints) - _MOST_NOTES, 'more note')} like these not shown; --json has them all.")
    if any(len(layer.kinds) > 1 for layer in layers):
        say(
            "Where several kinds fit, the more usual ones stand first, and only the model can say which it is: "
            "conversion goes by the model's layers."
        )
    if len(groups) < len(layers):
        say("--all shows every layer with its tensors.")


def _alike(layers: list[Guess]) -> list[list[Guess]]:
    """The layers of one kind together, kinds in the order of their first layers."""
    groups: dict[tuple[str, str], list[Guess]] = {}
    for layer in layers:
        groups.setdefault((layer.kind, layer.parametrization), []).append(layer)
    return list(groups.values())


def _cells(group: list[Guess]) -> list[str]:
    """One row of the table, for one layer or for several."""
    first, *others = group
    name = shortened(first.name, _LONGEST_NAME) or "(the model itself)"
    shown = itertools.islice(first.tensors.items(), _MOST_TENSORS)
    shapes = ", ".join(
        f"{shortened(part, _LONGEST_NAME)} {'x'.join(map(str, shape)) or 'scalar'}" for part, shape in shown
    )
    if len(first.tensors) > _MOST_TENSORS:
        shapes += f" and {len(first.tensors) - _MOST_TENSORS:,} more"
    return [
        f"{name} and {len(others)} more" if others else name,
        shapes if all(layer.tensors == first.tensors for layer in others) else "of several sizes",
        f"{first.kind} with {first.parametrization}" if first.parametrization else first.kind,
        first.evidence if all(layer.evidence == first.evidence for layer in others) else "",
    ]
