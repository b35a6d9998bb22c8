"""`jax-tconv inspect`: what a checkpoint holds."""

import dataclasses
import math
from collections import Counter

from rich.filesize import decimal

from jax_tconv import interop
from jax_tconv.interop._convert.parametrizations import fold
from jax_tconv.interop._tables import text_table

from . import options
from .guess import guess_layers
from .output import show_json


def inspect(file: options.File, entry: options.Entry = None, as_json: options.Json = False) -> None:
    """Show the tensors of a checkpoint, the layers they belong to, and why. Nothing in the file is run.

    What names and shapes do not prove is "not certain", with all layers of torch.nn that fit.

    Example: jax-tconv inspect generator.pth --entry state_dict
    """
    tensors = interop.read(file, entry=entry)
    sources, hints = fold(tensors, {name: name for name in tensors}, ())
    layers = guess_layers(sources)
    nbytes = sum(tensor.nbytes for tensor in tensors.values())
    dtypes = Counter(str(tensor.dtype) for tensor in tensors.values())
    if as_json:
        held = {name: {"shape": tensor.shape, "dtype": str(tensor.dtype)} for name, tensor in tensors.items()}
        document = {"file": str(file), "bytes": nbytes, "dtypes": dtypes, "tensors": held}
        show_json(document | {"layers": [dataclasses.asdict(layer) for layer in layers], "notes": hints})
        return
    values = sum(math.prod(tensor.shape) for tensor in tensors.values())
    kinds = ", ".join(f"{count} {dtype}" for dtype, count in dtypes.items())
    print(f"{file}: {len(tensors)} tensors ({kinds}), {values:,} values, {decimal(nbytes)}")
    rows = []
    for layer in layers:
        shapes = ", ".join(f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in layer.tensors.items())
        kind = f"{layer.kind} with {layer.parametrization}" if layer.parametrization else layer.kind
        rows.append((layer.name or "(the model itself)", shapes, kind, layer.evidence))
    print(text_table(("layer", "tensors", "is", "because"), rows))
    for name, hint in hints.items():
        print(f"{name}: {hint}")
    if any(len(layer.kinds) > 1 for layer in layers):
        print(
            "Where several kinds fit, the more usual ones stand first, and only the model can say which it is: "
            "conversion goes by the model's layers."
        )
