"""The image taken whole, as off a CPU, and what only that has: the products of a heavy kernel in one batched product."""

import jax
import numpy as np
import pytest

from jax_tconv._call.call import OPS, checked_call
from jax_tconv._methods import METHODS
from jax_tconv._methods.products import Sums
from tests import reference
from tests.cases import CASES, Case
from tests.test_chunks import TALL

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


@pytest.mark.parametrize(
    ("method", "op"), [(name, op) for name, module in METHODS.items() for op in OPS if hasattr(module, op)]
)
def test_values_of_the_image_taken_whole(method, op):
    function, sums = getattr(METHODS[method], op), Sums(None, np.float64, whole=True)
    cases = [*CASES, *TALL, *HEAVY]
    calls, operands, wanted = [], [], []
    for case in cases:
        x, kernel = case.draw()
        calls.append(checked_call(x.shape, kernel.shape, **case.arguments, output_size=None))
        y = reference.conv_transpose(x, kernel, **case.reference_arguments)
        g = np.random.default_rng(1).standard_normal(y.shape)
        x_bar, kernel_bar = reference.gradients(x, kernel, g, **case.reference_arguments)
        given = {"forward": (x, kernel), "input_gradient": (g, kernel), "kernel_gradient": (x, g)}
        operands.append(given[op])
        wanted.append({"forward": y, "input_gradient": x_bar, "kernel_gradient": kernel_bar}[op])
    # One program for all cases: each of its own would take most of a second to compile.
    compute = jax.jit(lambda pairs: [function(*pair, call.geometry, sums) for pair, call in zip(pairs, calls, strict=True)])
    for ours, theirs, case in zip(compute(operands), wanted, cases, strict=True):
        assert ours.shape == theirs.shape, case
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max(), err_msg=str(case))
