"""Which algorithm computes which op."""

from types import ModuleType

from jax_tconv.methods import METHODS


def method_for(op: str, method: str | None) -> ModuleType:
    """The method that computes `op` ("T", "C" or "W") when the caller named `method`, or none.

    A named method computes T, and an adjoint of which it has a form; `lhs_dilation` has all three and does the rest.
    """
    named = METHODS.get(method) if method else None
    return named if named is not None and hasattr(named, op) else METHODS["lhs_dilation"]
