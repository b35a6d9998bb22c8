"""torch's LSTM and GRU, one module with all its layers and directions, as Flax's RNNs in whatever holds them.

torch numbers the tensors within the module: `weight_ih_l0`, `weight_ih_l0_reverse`, `weight_ih_l1`. In a path, marks
stand where the parts of such a module have no name in torch; they make the end of the tensors' names.
"""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from flax import linen, nnx


class Mark(str):
    """A step of a path that torch has no name for."""


# A module's place in a model.
Path: TypeAlias = tuple[str, ...]
# The name of a tensor of such a module, with its layer's number, and whether it is of the way back.
RECURRENT_TENSOR = re.compile(r"\b(?:weight|bias)_(?:ih|hh)_l(\d+)(_reverse)?$")
# No attribute can have these names.
CELL, FORWARD, REVERSE = Mark("<cell>"), Mark("<forward>"), Mark("<reverse>")
_LAYER = "<layer>"

_RNN = (linen.RNN, nnx.RNN)
_BIDIRECTIONAL = (linen.Bidirectional, nnx.Bidirectional)
_DROPOUT = (linen.Dropout, nnx.Dropout)
_RANDOM = (nnx.Rngs, nnx.RngStream)


def dotted(path: Path) -> str:
    """A torch path as torch writes it."""
    return ".".join(step for step in path if not isinstance(step, Mark))


def suffix(path: Path) -> str:
    """What torch appends to the names of the tensors at `path`: `_l0` for the cell of an RNN."""
    if path[-1:] != (CELL,):
        return ""
    layer = next((step.removeprefix(_LAYER) for step in path if isinstance(step, Mark) and _LAYER in step), "0")
    return f"_l{layer}_reverse" if REVERSE in path else f"_l{layer}"


def is_torch_module(path: Path) -> bool:
    """Whether torch has a module at `path`, rather than a part of one; an RNN's cell counts as the RNN."""
    return not any(isinstance(step, Mark) and step != CELL for step in path)


def both_directions(module: Any) -> tuple[Any, Any] | None:
    """The forward and the backward RNN of a Bidirectional, or of a module that holds such two and nothing else."""
    if isinstance(module, _BIDIRECTIONAL):
        both: list[Any] = [module.forward_rnn, module.backward_rnn]
        return (both[0], both[1]) if all(isinstance(rnn, _RNN) for rnn in both) else None
    if not isinstance(module, linen.Module | nnx.Module) or isinstance(module, _RNN):
        return None
    parts = [part for name, part in vars(module).items() if name != "parent"]
    rnns = [part for part in parts if isinstance(part, _RNN)]
    if len(rnns) != 2 or sum(map(_holds_arrays, parts)) != 2:
        return None
    forward, backward = sorted(rnns, key=lambda rnn: bool(rnn.reverse))
    return (forward, backward) if backward.reverse and not forward.reverse else None


def part_steps(module: Any, part: Any, literal: Path) -> list[Path]:
    """The steps in torch from a module to a part that is `literal` in Flax, the one to export last."""
    both = both_directions(module) if isinstance(part, _RNN) else None
    if both is None or not any(part is rnn for rnn in both):
        return [literal]
    return [literal, (FORWARD if part is both[0] else REVERSE,)]


def item_steps(items: Sequence[Any], index: int, literal: Path) -> list[Path]:
    """The steps in torch from a list to an item that is `literal` in Flax, the one to export last.

    A list of several RNNs is one torch module with several layers if it can be: if they are of one kind and one size,
    each takes what the one before gives, and only Dropout is between. A list of one may be either in a checkpoint, and
    is taken literally on the way back.
    """
    mark = _layer(items, index)
    if mark is None:
        return [literal]
    steps = [literal, (*literal[:-1], mark)]
    return steps if sum(not isinstance(item, _DROPOUT) for item in items) > 1 else steps[::-1]


def _layer(items: Sequence[Any], index: int) -> Mark | None:
    """The mark for an item of a list that can be the layers of one torch module; None if it cannot."""
    if not _cells(items[index]):
        return None
    rnns = [item for item in items if not isinstance(item, _DROPOUT)]
    cells = [_cells(rnn) for rnn in rnns]
    if len({*map(len, cells)}) != 1:
        return None
    kinds = {(type(cell), _size(cell)) for layer in cells for cell in layer}
    width = len(cells[0]) * next(iter(kinds))[1]
    taken = {getattr(cell, "in_features", width) for layer in cells[1:] for cell in layer}
    if len(kinds) != 1 or not taken <= {width}:
        return None
    return Mark(f"{_LAYER}{next(n for n, rnn in enumerate(rnns) if rnn is items[index])}")


def _cells(module: Any) -> list[Any]:
    """The cells of one layer, one for each direction; none if it is no such layer."""
    if isinstance(module, _RNN):
        return [] if module.reverse else [module.cell]
    return [rnn.cell for rnn in both_directions(module) or ()]


def _size(cell: Any) -> int:
    """The number of outputs of a cell; 0 if it is not known."""
    size = getattr(cell, "hidden_features", None) or getattr(cell, "features", 0)
    return size if isinstance(size, int) else 0


def _holds_arrays(part: Any) -> bool:
    """Whether an attribute of a module is, or may hold, a module with arrays, or an array."""
    if isinstance(part, (*_DROPOUT, *_RANDOM)):
        return False
    if isinstance(part, list | tuple | dict):
        return any(map(_holds_arrays, part.values() if isinstance(part, dict) else part))
    return isinstance(part, linen.Module | nnx.Pytree | nnx.Variable)
