"""The steps from a module to its source."""

from collections.abc import Sequence
from typing import Any

from .checking import unlike_flax
from .classes import Class, find_classes
from .graph import Value, leaves
from .instances import Network
from .layers import is_layer
from .linen.classes import in_linen
from .loops import roll
from .naming import name_variables
from .orders import Order
from .source import write_source
from .tidying import return_at_once, tidy
from .tracing import trace
from .translation import Translation, TranslationError
from .unpacking import unpack_sizes


def write(module: Any, inputs: tuple[Any, ...], partial: bool, linen: bool) -> Translation:
    """The translation of a module on these inputs."""
    root, refused = trace(module, inputs, is_layer)
    if root is None:
        raise TranslationError(refused)
    network = Network(root)
    unlike = unlike_flax(module)
    refused = list(dict.fromkeys([*unlike, *network.refused, *refused]))
    if unlike or (refused and not partial):
        raise TranslationError(refused)
    network.refused.clear()
    for instance in network.instances.values():
        tidy(instance.body)
        unpack_sizes(instance.body)
        name_variables(instance.body)
        roll(instance.body, network.named_items(instance))
        return_at_once(instance.body)
    classes: Sequence[Class] = find_classes(network)
    if network.refused and not partial:
        raise TranslationError(network.refused)
    if linen:
        classes, refused = in_linen(classes, network)
        if refused:
            raise TranslationError(refused)
    source = write_source(classes, f"{type(module).__name__}, translated from PyTorch.")
    return Translation(source, classes[-1].name, _axes(network))


def _axes(network: Network) -> dict[str, str]:
    """The axes of what the network takes and gives."""
    taken = [
        order
        for word in network.root.frame.parameters
        for place, value in leaves(network.root.frame.parameters[word])
        if isinstance(value, Value)
        for order in [_at(network.root.orders[word], place)]
    ]
    found = {}
    for n, order in enumerate(taken):
        found["(input)" if n == 0 else f"(input)[{n}]"] = _rule(order)
    for place, value in leaves(network.root.frame.result):
        if isinstance(value, Value):
            keys = "".join(f"[{key!r}]" for key in place)
            found[f"(output){keys}"] = _rule(_at(network.root.body.orders, place))
    return found


def _at(tree: Any, place: tuple[Any, ...]) -> Order:
    for key in place:
        tree = tree[key]
    return tree.order


def _rule(order: Order) -> str:
    words = [f"a{n}" for n in range(len(order))]
    return f"{' '.join(words)} -> {' '.join(words[axis] for axis in order)}"
