"""The image taken whole, as off a CPU, and what only that has: the taps of a heavy kernel in one batched product.

`taps` has forms of its own for it. The others take images as small as those of the cases whole on a CPU too.
"""

import jax
import numpy as np
import pytest

from jax_tconv._call.call import OPS
from jax_tconv._methods import METHODS
from jax_tconv._methods.products import Sums
from tests.cases import CASES, Case

# Fewer pixels than channels.
HEAVY = [
    Case("heavy 1d", (3,), (4,), (2,), (1,), (0,), (1,), c_in=8, c_out=7),
    Case("heavy, dilated", (2, 1), (3, 2), (2, 3), (1, 0), (2, 1), (3, 1), c_in=6, c_out=5),
    Case("heavy, grouped", (1, 2), (3, 4), (1, 2), (1, 2), (0, 1), (1, 1), groups=3, c_in=5, c_out=6),
    Case("heavy, one voxel", (1, 1, 1), (2, 3, 2), (1, 1, 1), (0, 1, 0), (0, 0, 0), (1, 1, 1), c_in=3, c_out=4),
    Case("heavy, padding beyond the kernel", (4,), (3,), (2,), (4,), (1,), (1,), c_in=9, c_out=9),
    Case("heavy, rows that no tap meets", (2, 2), (1, 2), (3, 4), (0, 0), (2, 1), (1, 1), c_in=9, c_out=9),
]

pytestmark = pytest.mark.usefixtures("float64")


# The methods left out take every image whole, everywhere.
ROW_BY_ROW = ("subpixel", "col2im", "im2col", "taps")


@pytest.mark.parametrize(
    ("method", "op"), [(name, op) for name in ROW_BY_ROW for op in OPS if hasattr(METHODS[name], op)]
)
def test_values_of_the_image_taken_whole(method, op):
    function, sums = getattr(METHODS[method], op), Sums(None, np.float64, whole=True)
    cases = [*HEAVY, *(CASES if method == "taps" else [])]
    operands, wanted = zip(*(case.judged(op) for case in cases), strict=True)

    # One program for all cases: each of its own would take a good part of a second to compile.
    @jax.jit
    def compute(operands):
        return [function(*pair, case.geometry(), sums) for pair, case in zip(operands, cases, strict=True)]

    for ours, theirs, case in zip(compute(operands), wanted, cases, strict=True):
        assert ours.shape == theirs.shape, case
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max(), err_msg=str(case))
