"""`translate`: a PyTorch module as Flax source."""

from typing import Any

from .classes import find_classes
from .graph import Refusal
from .instances import Network
from .layers import is_layer
from .naming import name_variables
from .source import write_source
from .tidying import tidy
from .tracing import trace


class TranslationError(ValueError):
    """What of a network cannot be translated, all of it.

    Attributes:
      refusals: each with the module's path, the line of PyTorch code, the reason, and what would do.
    """

    def __init__(self, refusals: list[Refusal]) -> None:
        self.refusals = refusals
        lines = "\n".join(f"  {refusal}" for refusal in refusals)
        super().__init__(f"this network cannot be translated as it is ({len(refusals)}):\n{lines}")


def translate(module: Any, *inputs: Any, partial: bool = False) -> str:
    """The source of an nnx module that computes what `module` computes."""
    root, refused = trace(module, inputs, is_layer)
    network = Network(root)
    refused = list(dict.fromkeys([*refused, *network.refused]))
    if refused and not partial:
        raise TranslationError(refused)
    global last_orders
    last_orders = [order.order for tree in network.root.orders.values() for order in [tree]]
    for instance in network.instances.values():
        tidy(instance.body)
        name_variables(instance.body)
    classes = find_classes(network)
    return write_source(classes, classes[-1], f"{type(module).__name__}, translated from PyTorch.")
