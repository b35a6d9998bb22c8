"""What `verify` found: each layer's difference, the verdict, and both as a table."""

import dataclasses
from typing import Any, Literal

from .._tables import text_table
from .._text import printable_lines

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class LayerDifference:
    """One layer of both models, or one array of what they return.

    Attributes:
      name: its name in torch; `(output)` for what the models return, and where it stands in that.
      torch_layer, flax_layer: what it is in each, with its arguments.
      torch_shape, flax_shape: the shapes of its output, torch's in Flax's order.
      difference: the largest difference of two outputs; infinite if they have different shapes.
      relative: that, as a fraction of torch's largest output.
      input_relative: the same for its input; None if that has no array.
      ok: whether it is within the tolerance.
      counts: whether it is one layer on both sides. What is made of several only helps to find the place.
      assumed: whether the order of its axes follows from the convention alone.

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
    counts: bool = True
    assumed: bool = False


@dataclasses.dataclass(frozen=True)
class ArgumentDifference:
    """An argument that a layer has otherwise in Flax than PyTorch's asks for.

    Attributes:
      layer: the layer's name in torch.
      argument: the argument's name in Flax.
      torch: the value that PyTorch's layer asks for, in Flax's terms.
      flax: the value that the Flax layer has.
      severity: "error", or "warning" for what shows in training alone.
    """

    layer: str
    argument: str
    torch: Any
    flax: Any
    severity: Literal["error", "warning"]

    def __str__(self) -> str:
        return f"{self.layer!r} has {self.argument}={self.flax!r} in Flax, where PyTorch's asks for {self.torch!r}"


@dataclasses.dataclass(frozen=True)
class NotCompared:
    """A layer that was not compared, and why.

    Attributes:
      name: its name in torch, or in Flax if only that has it.
      reason: why.
      arrays: whether it holds arrays.
    """

    name: str
    reason: str
    arrays: bool = True


@dataclasses.dataclass(frozen=True)
class Verification:
    """What `verify` found: `print` it for a table of what differs, and the verdict; `table(all=True)` has every layer.

    Attributes:
      layers: every layer that both models have and call, in the order in which torch's finish.
      outputs: the arrays that both models return.
      tolerance: the relative difference up to which values count as equal.
      arguments: the arguments of paired layers that differ.
      not_compared: the layers that were not compared.
      missing: what is wrong with the number or the places of the returned arrays; empty if nothing is.
      error: where the Flax model raised an error, and which; empty if it did not.
      explanation: what the numbers show about the first difference.
      precision: at which both models multiplied.

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
    arguments: tuple[ArgumentDifference, ...] = ()
    not_compared: tuple[NotCompared, ...] = ()
    missing: str = ""
    error: str = ""
    explanation: str = ""
    precision: str | None = "highest"

    @property
    def ok(self) -> bool:
        """Whether all layers and outputs agree, and all arguments that show in evaluation."""
        wrong = self.error or self.missing or any(one.severity == "error" for one in self.arguments)
        return not wrong and self.first_difference is None

    @property
    def first_difference(self) -> LayerDifference | None:
        """The first layer that differs, or else the first output; None if none does."""
        return next((layer for layer in (*self.layers, *self.outputs) if layer.counts and not layer.ok), None)

    @property
    def verdict(self) -> str:
        """The result in a few sentences."""
        errors = [str(one) for one in self.arguments if one.severity == "error"]
        warnings = [f"{one}, which shows in training alone" for one in self.arguments if one.severity == "warning"]
        first = self.first_difference
        words = [] if first is None else [self._told(first)]
        words += [f"the Flax model raised {self.error}"] if self.error else []
        words += [self.missing] if self.missing else []
        if not words and not errors:
            words = [self._agreement()]
        words += errors + warnings
        if first is not None and first.assumed:
            words.append(
                f"that the axes of {first.name} are (batch, channels, ...) in PyTorch is the convention: nothing shows "
                f"it; axes={{{first.name!r}: 'n c l -> n l c'}} says otherwise"
            )
        if left := [one.name for one in self.not_compared if one.arrays]:
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            words.append(f"not compared: {', '.join(map(repr, left[:3]))}{more}")
        at = "each model's own precision" if self.precision is None else f"precision {self.precision!r}"
        return printable_lines(f"{'; '.join(words)} (at {at})")

    def _agreement(self) -> str:
        compared = [layer for layer in self.layers if layer.counts]
        layers = "1 layer" if len(compared) == 1 else f"{len(compared)} layers"
        count = f"{layers} and the output" if compared else "the output (no layers share a name)"
        worst = max((layer.relative for layer in (*compared, *self.outputs)), default=0.0)
        return f"{count} agree; the largest relative difference is {worst:.1e}"

    def _told(self, layer: LayerDifference) -> str:
        if layer.torch_shape != layer.flax_shape:
            words = f"{layer.name!r} differs in shape: {layer.torch_shape} in PyTorch, {layer.flax_shape} in Flax"
        elif layer in self.outputs:
            words = f"all shared layers agree, but {self._place(layer)} differs by {_amount(layer)}"
        else:
            words = f"{layer.name!r} is the first layer that differs, by {_amount(layer)}"
        if self.explanation:
            return f"{words}; {self.explanation}"
        if layer in self.outputs:
            return words
        if layer.input_relative is None or layer.input_relative <= self.tolerance:
            return f"{words}; its input agrees, so its weights or arguments differ ({layer.torch_layer})"
        return f"{words}; its input already differs, by {layer.input_relative:.1e}: look at what comes before"

    def _place(self, output: LayerDifference) -> str:
        return "the output" if output.name == "(output)" else output.name

    def table(self, *, all: bool = False, width: int | None = None) -> str:
        """What differs as a table, and what was not compared.

        Args:
          all: whether what agrees is in it too.
          width: the table's columns at most, where longer cells are broken into lines. None means the terminal's; where
            there is none, as in a pipe, what COLUMNS says in the environment, or 80.
        """
        named = {one.layer for one in self.arguments}
        rows = [one for one in (*self.layers, *self.outputs) if all or not one.ok or one.name in named]
        headings = ("", "layer", ("PyTorch", "Flax"), "output", ("difference", "relative"))
        parts = [text_table(headings, map(_cells, rows), width)] if rows else []
        left = [one for one in self.not_compared if all or one.arrays]
        if left:
            parts.append(text_table(("not compared", "because"), [(one.name, one.reason) for one in left], width))
        return "\n".join(parts)

    def __str__(self) -> str:
        table = self.table()
        return f"{table}\n{self.verdict}" if table else self.verdict


def _cells(layer: LayerDifference) -> list[str]:
    """One row of the table."""
    shapes = dict.fromkeys((layer.torch_shape, layer.flax_shape))
    numbers = (f"{layer.difference:.1e}", f"{layer.relative:.1e}")
    names = (layer.name, layer.torch_layer, layer.flax_layer)
    return ["" if layer.ok else "differs", *names, " and ".join(map(str, shapes)), *numbers]


def _amount(layer: LayerDifference) -> str:
    return f"{layer.difference:.1e} ({layer.relative:.1e} of the largest value)"
