"""Weights of layers that a module reads by itself: what Flax calls them, and in which order it has their axes."""

import ast
from typing import Any

from flax import nnx

from .._layers.layer_types import layer_type
from .._layers.layouts import Parameter as Layout
from .code import Expression, subscript
from .emitting import Out, Parameter, Untranslatable
from .graph import Value
from .layers import made
from .orders import Order


def of_layer(layer: Any, x: Value | None, access: Expression, word: str) -> Parameter:
    """torch's `word` of a layer that was called with `x`, if it ever was; `access` is the layer in Flax."""
    twin = made(layer, x)
    model = nnx.eval_shape(lambda: twin.make(nnx.Rngs(0)))
    arrays = {".".join(map(str, path)): array for path, array in nnx.to_flat_state(nnx.state(model))}
    shapes = {path: tuple(array.shape) for path, array in arrays.items() if hasattr(array, "shape")}
    known = layer_type(model, shapes)
    layouts = [layout for layout in known.parameters if word in layout.torch_names] if known is not None else []
    order = _order(layouts[0], len(shapes[layouts[0].flax_name])) if len(layouts) == 1 else None
    if order is None:
        kind = type(layer).__name__
        raise Untranslatable(
            f"it reads the {word} of a {kind}, which Flax's has not as one array like that",
            f"call the {kind}, or give the module a parameter of its own",
        )
    found = access
    for step in layouts[0].flax_name.split("."):
        found = ast.Attribute(found, step, ast.Load())
    return Parameter(Out(subscript(found, Ellipsis), order), layer, access)


def _order(layout: Layout, ndim: int) -> Order | None:
    """Where Flax has torch's axes, if each is an axis there too."""
    if (
        layout.added
        or layout.reverse
        or layout.free
        or layout.part != (0, 1)
        or "(" in layout.torch_axes + layout.flax_axes
    ):
        return None
    theirs, ours = (_axes(words, ndim) for words in (layout.torch_axes, layout.flax_axes))
    return tuple(theirs.index(axis) for axis in ours) if sorted(theirs) == sorted(ours) else None


def _axes(words: str, ndim: int) -> list[str]:
    named = words.split()
    spatial = [f"s{n}" for n in range(ndim + 1 - len(named))]
    return [axis for word in named for axis in (spatial if word == "..." else [word])]
