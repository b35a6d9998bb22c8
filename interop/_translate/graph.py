"""What a run of a module did: its calls as frames, what was called in each, and the tensors in between."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any


@dataclasses.dataclass(eq=False)
class Value:
    """A tensor at one moment of a run, in one frame.

    Attributes:
      shape, dtype: of the torch tensor; the dtype by JAX's name.
      hints: the names of variables that held it in PyTorch.
      attribute: for a parameter or buffer of a module, its path below the frame's module.
      constant: for any other tensor that the run did not make, its values.
      fixed: whether it is the same for all inputs and parameters.
      sized: whether it was made from sizes that other inputs may have otherwise.
      example: of a tensor with few elements, its values, if they are the same for all inputs: if it is fixed, a buffer,
        or an argument that is one of these.
      version: torch's count of what was written into its memory.
      stale: whether a write elsewhere changed the tensor after it was this value.
    """

    shape: tuple[int, ...]
    dtype: str
    hints: list[str] = dataclasses.field(default_factory=list)
    attribute: tuple[str, ...] | None = None
    constant: Any = None
    fixed: bool = False
    sized: bool = False
    example: Any = None
    version: int = 0
    stale: bool = False

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)


@dataclasses.dataclass(eq=False)
class Node:
    """One call.

    Attributes:
      kind: "function"; "layer" for a module that Flax has too; "module" for any other.
      target: the function's name, or the module's path below the frame's module.
      args, kwargs: what it was called with, values in the place of tensors.
      result: what it gave, likewise.
      where: file and line of the code that called it.
      frame: of a module, what happened in it.
      module: the module itself.
      holder: the number of the object that it gave.
      part: for a function, the module without tensors, such as an activation, in which it was called.
      refusal: if it cannot be translated, whatever it is, the reason and what would do.
    """

    kind: str
    target: str | tuple[str, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    where: str
    frame: "Frame | None" = None
    module: Any = None
    holder: int = 0
    part: Any = None
    refusal: tuple[str, str] | None = None


@dataclasses.dataclass(eq=False)
class Frame:
    """One call of a module.

    Attributes:
      module, path: the module, and its place in the model.
      parameters: what it was called with by name, values in the place of tensors.
      nodes: what it called, in turn.
      result: what it returned.
      size_names: the names of variables that held sizes, by their sources.
      module_names: the names of variables that held modules, by the modules' numbers.
    """

    module: Any
    path: tuple[str, ...]
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    nodes: list[Node] = dataclasses.field(default_factory=list)
    result: Any = None
    size_names: dict[Any, str] = dataclasses.field(default_factory=dict)
    module_names: dict[int, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Something that cannot be translated: in which module, at which line, why, and what would do."""

    path: tuple[str, ...]
    where: str
    reason: str
    advice: str = ""

    def __str__(self) -> str:
        place = ".".join(self.path) or "the module itself"
        where = f" ({self.where})" if self.where else ""
        return f"{place}{where}: {self.reason}" + (f"; {self.advice}" if self.advice else "")


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same structure of tuples, lists, dicts and slices with the function of each leaf."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)._make(tree_map(function, item) for item in tree)  # type: ignore[attr-defined]
    if isinstance(tree, tuple | list):
        items = [tree_map(function, item) for item in tree]
        return items if isinstance(tree, list) else tuple(items)
    if isinstance(tree, dict):
        return {key: tree_map(function, item) for key, item in tree.items()}
    if holds_tensors(tree):
        return tree_map(function, fields(tree))
    if isinstance(tree, slice):
        return slice(*(tree_map(function, item) for item in (tree.start, tree.stop, tree.step)))
    return function(tree)


def leaves(tree: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The leaves of such a structure, each with its place."""
    if isinstance(tree, tuple | list):
        for n, item in enumerate(tree):
            yield from leaves(item, (*place, n))
    elif isinstance(tree, dict):
        for key, item in tree.items():
            yield from leaves(item, (*place, key))
    elif holds_tensors(tree):
        yield from leaves(fields(tree), place)
    elif isinstance(tree, slice):
        yield from leaves((tree.start, tree.stop, tree.step), place)
    else:
        yield place, tree


def holds_tensors(tree: Any) -> bool:
    """Whether a thing is a dataclass with tensors, which counts as a dict, as a function takes or gives it."""
    if not dataclasses.is_dataclass(tree) or isinstance(tree, type | Value | Node | Frame):
        return False
    return any(hasattr(leaf, "shape") for _, leaf in leaves(fields(tree)))


def fields(tree: Any) -> dict[str, Any]:
    """The fields of a dataclass by their names."""
    return {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}


def values(tree: Any) -> list[Value]:
    """The values in such a structure."""
    return [leaf for _, leaf in leaves(tree) if isinstance(leaf, Value)]
