"""The contestants, one file each, and the table of their names.

Each file has `contestants()`, a list of `Contestant`. They are imported only when asked for, so that a library that is
missing stops nobody else.
"""

import importlib
from collections.abc import Callable
from typing import NoReturn

from benchmarks.peers.contestant import Contestant, NotApplicable

FILES = {
    "torch": "pytorch",
    "flax": "flax_linen",
    "flax-transposed": "flax_linen",
    "equinox": "equinox_nn",
    "lax": "lax_grouped",
}
DEFAULT = ("torch", "flax", "equinox", "lax")


def find(names: list[str]) -> list[Contestant]:
    """The contestants behind these names; one that cannot be imported refuses every layer, with the reason."""
    found: list[Contestant] = []
    for name in names:
        try:
            module = importlib.import_module(f"benchmarks.peers.{FILES[name]}")
        except ImportError as error:
            found.append(Contestant(name, "torch" if name == "torch" else "jax", _refusal(str(error))))
        else:
            found += [c for c in module.contestants() if c.name.split(" ")[0] == name]
    return found


def _refusal(reason: str) -> Callable[..., NoReturn]:
    def prepare(*_: object) -> NoReturn:
        raise NotApplicable(reason)

    return prepare
