"""What `verify` found: each layer's difference, the verdict, and both as a table."""

import dataclasses

from .._tables import text_table

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class LayerDifference:
    """One layer of both models.

    Attributes:
      name: its name in torch; empty for the model's output.
      torch_layer, flax_layer: what it is in each.
      torch_shape, flax_shape: the shapes of its output.
      difference: the largest difference of two outputs; infinite if they have different shapes.
      relative: that, as a fraction of torch's largest output.
      input_relative: the same for its input; None if that has no array.
      ok: whether it is within the tolerance.

    Example:
      >>> import torch
      >>> from jax_tconv import interop
      >>> original = torch.nn.Sequential(torch.nn.Linear(3, 4))
      >>> (layer,) = interop.verify(original, interop.from_torch(original), torch.ones(2, 3)).layers
      >>> layer.name, layer.torch_layer, layer.torch_shape, layer.ok
      ('0', 'Linear(in_features=3, out_features=4, bias=True)', (2, 4), True)
    """

    name: str
    torch_layer: str
    flax_layer: str
    torch_shape: Shape
    flax_shape: Shape
    difference: float
    relative: float
    input_relative: float | None
    ok: bool


@dataclasses.dataclass(frozen=True)
class Verification:
    """What `verify` found; `print` it for a table.

    Attributes:
      layers: every layer that both models have and call, in the order in which torch's finish.
      outputs: the models' outputs.
      tolerance: the relative difference up to which values count as equal.
      error: what the Flax model raised, if it did.

    Example:
      >>> import torch
      >>> from jax_tconv import interop
      >>> original = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh())
      >>> found = interop.verify(original, interop.from_torch(original), torch.ones(2, 3))
      >>> found.ok, [layer.name for layer in found.layers]
      (True, ['0'])
    """

    layers: tuple[LayerDifference, ...]
    outputs: tuple[LayerDifference, ...]
    tolerance: float
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether all layers and outputs agree."""
        return self.error is None and all(layer.ok for layer in (*self.layers, *self.outputs))

    @property
    def first_difference(self) -> LayerDifference | None:
        """The first layer that differs; None if none does."""
        return next((layer for layer in (*self.layers, *self.outputs) if not layer.ok), None)

    @property
    def verdict(self) -> str:
        """The result in a sentence or two."""
        first = self.first_difference
        count = f"{len(self.layers)} layers and the output" if self.layers else "the output (no layers share a name)"
        if first is None and self.error is None:
            worst = max((layer.relative for layer in (*self.layers, *self.outputs)), default=0.0)
            return f"{count} agree; the largest relative difference is {worst:.1e}"
        words = [] if first is None else [self._told(first)]
        if self.error is not None:
            words.append(f"the Flax model raised {type(self.error).__name__}: {self.error}")
        return "; ".join(words)

    def _told(self, layer: LayerDifference) -> str:
        if not layer.name:
            return f"all shared layers agree, but the output differs by {_amount(layer)}"
        if layer.torch_shape != layer.flax_shape:
            words = f"{layer.name!r} differs in shape: {layer.torch_shape} in PyTorch, {layer.flax_shape} in Flax"
        else:
            words = f"{layer.name!r} is the first layer that differs, by {_amount(layer)}"
        if layer.input_relative is None or layer.input_relative <= self.tolerance:
            return f"{words}; its input agrees, so its weights or arguments differ ({layer.torch_layer})"
        return f"{words}; its input already differs, by {layer.input_relative:.1e}: look at what comes before"

    def __str__(self) -> str:
        headings = ("", "layer", "PyTorch", "Flax", "output", "difference", "relative")
        return f"{text_table(headings, map(_cells, (*self.layers, *self.outputs)))}\n{self.verdict}"


def _cells(layer: LayerDifference) -> list[str]:
    """One row of the table."""
    shapes = dict.fromkeys((layer.torch_shape, layer.flax_shape))
    numbers = (f"{layer.difference:.1e}", f"{layer.relative:.1e}")
    names = (layer.name or "(output)", layer.torch_layer, layer.flax_layer)
    return ["" if layer.ok else "differs", *names, " and ".join(map(str, shapes)), *numbers]


def _amount(layer: LayerDifference) -> str:
    return f"{layer.difference:.1e} ({layer.relative:.1e} of the largest value)"
