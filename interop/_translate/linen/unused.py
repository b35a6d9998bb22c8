"""Parts of PyTorch's modules that nobody calls: linen has no arrays for them, and its classes say so."""

from collections.abc import Iterator
from typing import Any

from ..classes import Class
from ..folded import parts_of_folded
from ..instances import Network
from ..layers import is_layer


class Unused:
    """What of a network is not used on the example."""

    def __init__(self, network: Network) -> None:
        self._instances = network.instances
        called = {key for key, instance in network.instances.items() if instance.body.orders is not None}
        self._used = {*called, *network.given, *network.read_from}

    def paths(self, cls: Class) -> tuple[str, ...]:
        """The parts of the class that are not used in some of those instances that are, by their paths."""
        found: dict[str, None] = {}
        for instance in filter(lambda one: self._is_used(one.module), cls.instances):
            folded = parts_of_folded(instance.module)
            for word, child in instance.module._modules.items():
                found |= dict.fromkeys(() if word in folded else self._paths(word, child))
        return tuple(found)

    def is_unused(self, cls: Class, word: str) -> bool:
        """Whether a part of the class is used in none of its instances."""
        parts = [instance.module._modules.get(word) for instance in cls.instances]
        return any(part is not None for part in parts) and not any(map(self._is_used, parts))

    def _paths(self, path: str, module: Any) -> Iterator[str]:
        if module is None or not module.state_dict():
            return
        if not self._is_used(module):
            yield path
        elif id(module) not in self._instances and not is_layer(module):
            for word, child in module._modules.items():
                yield from self._paths(f"{path}.{word}", child)

    def _is_used(self, module: Any) -> bool:
        return module is not None and any(id(part) in self._used for part in module.modules())
