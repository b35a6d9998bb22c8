"""The contestants, one file each, and the table of their names.

Each file has `contestants()`, a list of `Contestant`. They are imported only when asked for, so that a library that is
missing stops nobody else.
"""

import functools
import importlib
from typing import NoReturn

from .contestant import Contestant, NotApplicable

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
            module = importlib.import_module(f".{FILES[name]}", __package__)
        except ImportError as error:
            absent = isinstance(error, ModuleNotFoundError)
            reason = f"not installed; pip install {error.name}" if absent else str(error)
            found.append(Contestant(name, "torch" if name == "torch" else "jax", functools.partial(_refuse, reason)))
        else:
            found += [c for c in module.contestants() if c.name.split(" ")[0] == name]
    return found


def _refuse(reason: str, *_: object) -> NoReturn:
    raise NotApplicable(reason)
