"""What torch calls the modules of a linen module.

linen gives the items of a list in `setup`, and of an `nn.Sequential`, names such as `blocks_0` and `layers_0`; torch
calls them `blocks.0` and `0`. A checkpoint may have either.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from flax import linen as nn

Place: TypeAlias = tuple[str, ...]
# Stands in a torch path for the cell of an RNN, which in torch is the RNN itself.
CELL = "<cell>"


class Paths:
    """The modules of a linen module as they are called, what torch calls each of them, and in which order."""

    def __init__(self) -> None:
        self.modules: dict[Place, nn.Module] = {}
        # For each path the places that torch has for it, and for each place its spellings, linen's own first.
        self._spelled: dict[Place, tuple[tuple[Place, ...], ...]] = {}
        self._ranks: dict[Place, tuple[int, ...]] = {}

    def note(self, module: nn.Module) -> None:
        """Adds a module that is being called, unless it is known."""
        path, parent = module.path, module.parent
        if path in self.modules:
            return
        self.modules[path] = module
        if path and path not in self._spelled:
            attributes = vars(parent) if isinstance(parent, nn.Module) else {}
            aliases = [name for name, value in attributes.items() if value is module and name != path[-1]]
            last, rank = _item(parent, path[-1], attributes)
            above = self._places(path[:-1])
            places = [tuple(dict.fromkeys(((*names[0], path[-1]), (*names[-1], *last)))) for names in above]
            places += [((*names[-1], other),) for names in above for other in aliases]
            self._spelled[path] = tuple(places)
            # What `setup` does not define comes in the order of the calls.
            self._ranks[path] = rank or (len(attributes), len(self.modules))
        if isinstance(module, nn.RNN):
            self._spelled[(*path, "cell")] = tuple(((*names[-1], CELL),) for names in self._places(path))

    def names(self, path: Place) -> tuple[tuple[tuple[str, ...], ...], str]:
        """The names of the module at `path`, places and spellings, and what torch puts behind its tensors' names."""
        places = self._places(path)
        suffix = "_l0" if places[0][-1][-1:] == (CELL,) else ""
        joined = (
            dict.fromkeys(".".join(name for name in names if name != CELL) for names in spellings)
            for spellings in places
        )
        return tuple(tuple(names) for names in joined), suffix

    def order(self, path: Place) -> list[tuple[int, ...]]:
        """A key to sort paths in the order in which the modules are defined, in `setup` or by their calls."""
        return [self._ranks.get(path[: n + 1], ()) for n in range(len(path))]

    def _places(self, path: Place) -> tuple[tuple[Place, ...], ...]:
        return self._spelled.get(path) or ((path,),)


def _item(parent: Any, name: str, attributes: Mapping[str, Any]) -> tuple[Place, tuple[int, ...]]:
    """What torch calls the child that linen calls `name`, and where the parent defines it, if it is an attribute.

    linen joins the names of a container and of its item.
    """
    for n, (attribute, value) in enumerate(attributes.items()):
        if attribute == name:
            return (name,), (n,)
        item = name.removeprefix(f"{attribute}_")
        if item == name:
            continue
        inside = () if isinstance(parent, nn.Sequential) and attribute == "layers" else (attribute,)
        if isinstance(value, Mapping) and item in value:
            return (*inside, item), (n, list(value).index(item))
        if isinstance(value, list | tuple) and all(part.isdigit() for part in item.split("_")):
            return (*inside, *item.split("_")), (n, *map(int, item.split("_")))
    return (name,), ()
