"""Whether a contestant's values are the judge's, before anybody asks how fast they came."""

import math

import numpy as np

from .layers import Layer

NAMES = ("output", "input gradient", "kernel gradient")
# Both sides round each of the n additions behind a value; the errors add up like a random walk, to about
# eps * sqrt(n) of the value, and fast algorithms (Winograd's) lose a few times that.
ROUNDINGS = 8.0
FLOAT32_EPS = float(np.finfo(np.float32).eps)
# The mantissa of TF32, in which a GPU may form the products; those errors do not grow with n.
TF32_EPS = 2.0**-10


def errors(results: tuple[np.ndarray, ...], reference: tuple[np.ndarray, ...]) -> tuple[float, ...]:
    """The largest difference of each array, relative to the reference's largest value; infinite for another shape."""
    found = []
    for ours, wanted in zip(results, reference, strict=True):
        same = ours.shape == wanted.shape
        # Nothing but zeros where no tap lands.
        largest = np.abs(wanted).max() or 1.0
        found.append(float(np.abs(ours - wanted).max() / largest) if same else math.inf)
    return tuple(found)


def disagreement(layer: Layer, found: tuple[float, ...], judge: str, tf32: bool = False) -> str:
    """What differs by more than rounding, in words; empty if nothing does."""
    taps = math.prod(layer.kernel)
    # How many products are summed for a value of the output and of each gradient.
    terms = (
        taps * layer.c_in // layer.groups,
        taps * layer.c_out // layer.groups,
        layer.batch * math.prod(layer.input),
    )
    for name, error, n in zip(NAMES, found, terms, strict=False):
        limit = ROUNDINGS * (FLOAT32_EPS * math.sqrt(n) + (TF32_EPS if tf32 else 0.0))
        # Not `error > limit`: a NaN is a difference.
        if not error <= limit:
            return f"the {name} differs from {judge}'s by {error:.1e} of its largest value, limit {limit:.1e}"
    return ""
